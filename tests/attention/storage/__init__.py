"""Tests of attention/storage."""
