"""Tests of what the API says of itself: the catalogue, OpenAPI, clients made from it."""
