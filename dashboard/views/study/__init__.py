"""Train on one's own data, same seeds for all, and hear what may be said."""
