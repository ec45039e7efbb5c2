"""Replace gates by something that knows nothing of the image, and see what is lost."""
