"""From a question to its answer: references, size limits, provenance, differences, kept answers."""
