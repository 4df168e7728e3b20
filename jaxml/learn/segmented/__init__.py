"""Sweeps that stop between two updates and go on there: blocks, programs, storage."""
