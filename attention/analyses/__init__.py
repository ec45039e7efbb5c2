"""The shelf of analyses: one file a question, a function ``(request, lab) -> report`` with the question's name."""

import inspect
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar, get_type_hints

from pydantic import ValidationError

from attention.analysis import Analysis, AnyLab
from attention.errors import InvalidRequest
from attention.faults import fault_place, fault_sentence
from attention.registry import Registry
from attention.spec import Plain, Request

R = TypeVar("R", bound=Plain)
F = TypeVar("F", bound=Analysis)

analyses: Registry[Analysis] = Registry("analysis", __name__)
_checks: dict[Analysis, Callable[[Any], object]] = {}


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


def checked_by(check: Callable[[Any], object]) -> Callable[[F], F]:
    """Decorate an analysis with what refuses a request of it before it is queued as a job."""

    def decorate(analysis: F) -> F:
        _checks[analysis] = check
        return analysis

    return decorate


def check(request: Request[Any]) -> None:
    """Refuse a request at once that its analysis would only refuse when it runs.

    Raises:
        AttentionError: what the analysis refuses, as a sentence for the caller.
    """
    if refuse := _checks.get(_analysis(request.analysis)):
        refuse(request)


@lru_cache
def _analysis(name: str) -> Analysis:
    """The function of a name; what stands on the shelf stays as it is."""
    return analyses[name]


def request_type(analysis: Analysis) -> type[Request[Any]]:
    """What an analysis is asked with: the annotation of its first parameter."""
    first = next(iter(inspect.signature(analysis).parameters))
    annotation = get_type_hints(analysis).get(first)
    if not (isinstance(annotation, type) and issubclass(annotation, Request)):
        raise TypeError(f"The first parameter of {analysis!r} must be annotated with its Request.")
    return annotation


def question(name: str, **fields: Any) -> Request[Any]:
    """The request of an analysis by its name and fields.

    Raises:
        UnknownName: there is no such analysis.
        InvalidRequest: a field is missing, unknown or wrong.
    """
    kind = request_type(_analysis(name))
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        # A field that is missing may be one that is misspelt, so what is not known comes first.
        faults = sorted(error.errors(), key=lambda fault: fault["type"] != "extra_forbidden")
        where = fault_place(faults[0]["loc"])
        raise InvalidRequest(fault_sentence(where, {**faults[0], "known": kind.model_fields})) from None
