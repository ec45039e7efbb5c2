"""Verbs of the service for the command ``attention-lab``, one file a verb."""
