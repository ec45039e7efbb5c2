"""Tests of attention/backbones."""
