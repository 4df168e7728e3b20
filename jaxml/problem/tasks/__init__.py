"""Fixed problems: networks whose curvature is studied, workloads of optimizers, scripts
of gradients.
"""
