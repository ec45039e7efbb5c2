"""Tests of attention/interventions."""
