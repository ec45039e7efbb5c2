"""Tests of attention/data."""
