"""Attention modules, where they go in a network, what they cost and what they do.

The library behind the service. Start with ``attention.spec`` (what can be asked for) and
``attention.build`` (a Variant becomes a model). Importing ``spec``, ``reports`` or ``errors``
never loads torch.
"""
