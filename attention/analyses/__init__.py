"""The shelf of analyses: one file a question, a function ``(request, lab) -> report`` with the question's name."""

from typing import TypeVar

from attention.analysis import Analysis, AnyLab
from attention.registry import Registry
from attention.spec import Plain, Request

R = TypeVar("R", bound=Plain)

analyses: Registry[Analysis] = Registry("analysis", __name__)


def run(request: Request[R], lab: AnyLab) -> R:
    """Answer a request.

    Raises:
        AttentionError: whatever the analysis found that the caller can mend.
    """
    report = analyses[request.analysis](request, lab)
    assert isinstance(report, request.report)
    return report  # type: ignore[return-value]
