"""Tests of server/answers."""
