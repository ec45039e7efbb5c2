"""Tests of photos and data sets over HTTP."""
