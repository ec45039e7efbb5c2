"""Tests of server/cluster."""
