"""Layers and networks for pictures, as parts of a `problem.chain`."""
