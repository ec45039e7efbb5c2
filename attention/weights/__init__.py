"""Trained weights: where they are found, whose names they carry, and how they get into a network."""
