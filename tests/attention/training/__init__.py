"""Tests of attention/training."""
