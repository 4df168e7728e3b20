"""Curvature products of other matrices, of some leaves, and of all the data."""
