"""Tests of attention/analyses."""
