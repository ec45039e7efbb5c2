"""Parameters, multiply-accumulates and bytes of a network, counted by formula and shape."""
