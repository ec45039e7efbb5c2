"""Tests of attention/running."""
