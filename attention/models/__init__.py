"""Any torch model: a user's own by name, one pass of it, compiled code, names of operations, the seed at building."""
