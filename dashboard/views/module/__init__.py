"""A module: what it is, its price, its evidence."""
