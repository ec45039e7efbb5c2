"""What a module costs: parameters, multiply-accumulates, bytes, time."""
