"""The dashboard: pages that ask the API over HTTP and draw what it answers. It computes nothing and needs no torch."""
