"""The commands of the front door: one module each, imported when its command is
given.
"""
