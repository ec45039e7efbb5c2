"""Tests of server/access."""
