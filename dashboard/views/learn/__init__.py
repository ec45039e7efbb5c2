"""How a gate is computed, step by step."""
