"""Images and data sets: from bytes to tensors."""
