"""Reports that come with the project, each a JSON file here with the question that made it and its conditions.

``python -m benchmarks.shipped_reports`` makes all but the studies, which ``attention-lab study --ship`` writes.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TypeVar

from attention.schemas import SHIPPED, Conditions, StoredReport
from attention.spec import Plain, Request
from attention.storage.base import write_whole

R = TypeVar("R", bound=Plain)

FOLDER = Path(__file__).parent


def all_reports() -> Mapping[str, StoredReport]:
    """Read all reports that come with the project, by id."""
    return _read(FOLDER)


def of(question: type[Request[R]]) -> Iterator[tuple[StoredReport, R]]:
    """Every report on a kind of question that comes along: as it is stored, and typed; by id."""
    for stored in all_reports().values():
        if stored.analysis == question.analysis:
            yield stored, question.report.model_validate(stored.report)  # type: ignore[misc]


def write(
    name: str, question: Request[R], report: R, folder: Path = FOLDER, conditions: Conditions | None = None
) -> None:
    """Write a report that was made now, to come along under the id ``shipped-NAME``."""
    now = datetime.now(UTC)
    stored = StoredReport(
        id=SHIPPED + name,
        analysis=question.analysis,
        request=question.model_dump(mode="json", exclude_defaults=True),
        created=now,
        finished=now,
        conditions=conditions,
        report=report.model_dump(mode="json"),
    )
    write_whole(folder / f"{name}.json", stored.model_dump_json().encode() + b"\n")


@cache
def _read(folder: Path) -> Mapping[str, StoredReport]:
    reports = [StoredReport.model_validate_json(path.read_bytes()) for path in folder.glob("*.json")]
    return {stored.id: stored for stored in sorted(reports, key=lambda stored: stored.id)}
