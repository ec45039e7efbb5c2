"""The shelf of analyses: one file a question, a function ``(request, lab) -> report`` with the question's name."""

from attention.analysis import Analysis
from attention.registry import Registry

analyses: Registry[Analysis] = Registry("analysis", __name__)
