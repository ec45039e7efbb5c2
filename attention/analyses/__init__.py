"""The shelf of analyses: one file a question, a function ``(request, lab) -> report`` with the question's name."""

from functools import lru_cache
from typing import TypeVar

from attention.analysis import Analysis, AnyLab
from attention.registry import Registry
from attention.spec import Plain, Request

R = TypeVar("R", bound=Plain)

analyses: Registry[Analysis] = Registry("analysis", __name__)


def run(request: Request[R], lab: AnyLab) -> R:
    """Run the analysis that a request belongs to.

    Raises:
        AttentionError: what the analysis refuses, as a sentence for the caller.
        RuntimeError: a StopIteration left the analysis; futures and generators cannot pass one on.
    """
    try:
        report = _analysis(request.analysis)(request, lab)
    except StopIteration as error:
        raise RuntimeError(f"The analysis {request.analysis!r} did not find what it looked for.") from error
    assert isinstance(report, request.report)
    return report  # type: ignore[return-value]


@lru_cache
def _analysis(name: str) -> Analysis:
    """The function of a name; what stands on the shelf stays as it is."""
    return analyses[name]
