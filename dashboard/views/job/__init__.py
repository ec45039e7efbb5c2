"""The page of a job of any kind."""
