"""Attention classes of pretrainedmodels."""

from attention.mechanisms import mechanisms

mechanisms.register("pretrainedmodels")({"SEModule": "se"})
