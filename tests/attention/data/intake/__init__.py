"""Tests of what came in: layouts, names, splits, archives."""
