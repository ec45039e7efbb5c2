"""Tests of questions asked over HTTP, and of the reports that their answers are kept as."""
