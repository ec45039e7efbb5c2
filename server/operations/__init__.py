"""What an operator looks at: check, metrics, retention."""
