"""Which hyperparameters: comparisons of tuned optimizers, and the range test."""
