"""Plans of studies: made before the first run, kept beside the runs, found again, never changed."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime

from pydantic import ValidationError

from attention.measuring.decision import LEAST_SEEDS
from attention.reports.parts.study_plan import StudyPlan
from attention.reports.study import DataFacts, StudyRequest
from attention.spec import Variant
from attention.storage.base import FileStore

FOLDER = "runs/plans"

SAME = ("arms", "looks", "margin", "score", "recipe", "size", "validation", "first_seed", "fingerprint")
"""What two plans have in common that differ in their first look only."""


def recorded_plan(
    file_store: FileStore,
    request: StudyRequest,
    arms: Sequence[Variant],
    facts: DataFacts,
    ended: int,
    owner: str = "",
) -> StudyPlan:
    """Find the plan that a study goes on with, or make it and keep it with the time.

    A request that names no first look goes on with the earliest plan that is otherwise the same and reaches as many
    seeds. Whatever else differs (arms, margin, looks, recipe, data) is another plan.

    Args:
        ended: runs of the request that have ended already.
        owner: id of the API key whose plans are looked through.
    """
    plan = StudyPlan(
        arms=tuple(arm.name for arm in arms),
        first_look=request.first_look or max(LEAST_SEEDS, request.seeds),
        looks=request.looks,
        margin=request.margin,
        score=request.score,
        recipe=request.recipe,
        size=request.size,
        validation=request.validation,
        first_seed=request.first_seed,
        fingerprint=facts.fingerprint,
        created=datetime.now(UTC).replace(microsecond=0),
        runs_before=ended,
        runs_asked=len(arms) * request.seeds,
    )
    folder = f"{FOLDER}/{owner}" if owner else FOLDER
    plans = sorted(_kept(file_store, folder, plan), key=lambda old: old.created)
    for old in plans:
        goes_on = request.first_look is None and request.seeds <= old.look_sizes[-1]
        if old.first_look == plan.first_look or goes_on:
            return old
    file_store.write(f"{folder}/{_family(plan)}-{plan.first_look}.json", plan.model_dump_json(indent=1).encode())
    return plan


def _family(plan: StudyPlan) -> str:
    return _digest(plan.model_copy(update={"arms": (plan.baseline, *sorted(plan.arms[1:]))}))


def _digest(plan: StudyPlan) -> str:
    same = plan.model_dump_json(include=set(SAME), exclude_defaults=True)
    return hashlib.sha256(same.encode()).hexdigest()[:20]


def _kept(file_store: FileStore, folder: str, plan: StudyPlan) -> list[StudyPlan]:
    """Plans that differ from this one in their first look and in the order of their arms at most."""
    plans = []
    families = (_family(plan), _digest(plan))  # once they were named by their arms in the order they were asked for
    for entry in file_store.entries(folder):
        if entry.last.startswith(families):
            try:
                plans.append(StudyPlan.model_validate_json(file_store.read(entry.name)))
            except (FileNotFoundError, ValidationError):
                continue
    return plans
