"""Tests of attention/measuring."""
