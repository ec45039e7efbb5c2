"""The page of the log-in."""
