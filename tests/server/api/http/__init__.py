"""Tests of what every route keeps to: methods, headers, pages of lists, problems, idempotency."""
