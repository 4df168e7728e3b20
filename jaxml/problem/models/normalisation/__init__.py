"""Layers that normalise what they are given, or what they multiply it by."""
