"""One photo, the same backbone, different attention."""
