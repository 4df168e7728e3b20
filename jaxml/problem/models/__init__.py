"""Networks as pure functions. The only door to Flax."""
