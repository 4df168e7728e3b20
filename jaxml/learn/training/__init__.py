"""Training compiled: one run, grids of runs, and descent to a minimum."""
