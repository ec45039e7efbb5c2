"""Tests of networks over HTTP: checkpoints sent, folded, exported and fetched, and models of the operator."""
