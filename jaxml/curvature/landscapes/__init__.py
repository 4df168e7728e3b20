"""Landscapes: slices of a loss, curves between solutions, planes of trajectories."""
