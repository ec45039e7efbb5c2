"""Tests of attention/commands."""
