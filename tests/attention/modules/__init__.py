"""Tests of attention/modules."""
