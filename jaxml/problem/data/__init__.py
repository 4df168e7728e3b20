"""Data sets: embedded, or read from checksummed files. The only door to data files and
the network.
"""
