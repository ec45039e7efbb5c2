"""Plain data that answers are made of and several of them share, and what stands beside them."""
