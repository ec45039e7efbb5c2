"""Tests of attention/counting."""
