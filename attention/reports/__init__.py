"""Each question with its answer, as plain data: the report first, then the request that gets it.

Numbers carry their units and conditions in the field descriptions, which are also the API's documentation. Everything
here imports pydantic only, so that a page or a client needs no torch.
"""
