"""Training: the loop, runs that are kept and resumed, and studies of many runs."""
