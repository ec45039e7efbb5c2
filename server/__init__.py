"""The service: a REST API over the library in ``attention``."""
