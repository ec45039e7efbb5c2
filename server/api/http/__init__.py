"""HTTP as all routes share it: bodies read, answers sent, pages of lists, formats, and the OpenAPI description."""
