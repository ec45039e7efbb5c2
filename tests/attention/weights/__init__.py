"""Tests of attention/weights."""
