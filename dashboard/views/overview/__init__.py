"""Does attention pay: the answer table."""
