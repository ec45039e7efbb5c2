"""Tests of server/stored."""
