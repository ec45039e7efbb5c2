"""Replacing gates on purpose, many sets of them at a time, and saying what that changed."""
