"""The page of models that users bring: what gates they have, and where to ask about them."""
