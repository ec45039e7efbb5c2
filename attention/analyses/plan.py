"""How long would this study take?"""

import math
import statistics
from collections.abc import Iterable, Sequence
from fnmatch import fnmatch
from typing import NamedTuple

from pydantic import ValidationError

from attention.analyses import analyses
from attention.analysis import AnyLab
from attention.build import resolve
from attention.counting.cost import count
from attention.data.files import Files, owned_name
from attention.data.folder import DataFolder, Listed
from attention.data.intake.splits import TEST_SHARE, with_validation
from attention.errors import InvalidRequest, NotFound
from attention.measuring.decision import LEAST_SEEDS, Rule
from attention.measuring.traits import narrow_bottlenecks
from attention.reports.parts.checkpoints import Card
from attention.reports.plan import Plan, PlanRequest
from attention.reports.study import StudyRequest
from attention.running.device import device_name
from attention.spec import Variant
from attention.training.conditions import (
    check_trainable,
    earlier_spread,
    seeds_advice,
    seeds_between_looks,
    unseen_images,
)
from attention.weights.load import current

BACKWARD = 2
"""A step back costs about twice the step forward, so an image in training costs three forward passes."""

ROUGH_MACS_PER_S = {"cpu": 1e10, "cuda": 2e12}
"""Multiply-accumulates a second that a small network reaches in training, where nothing was measured yet."""


@analyses.register("plan")
def plan(request: PlanRequest, lab: AnyLab) -> Plan:
    """How long would this study take?"""
    study = request.study
    if study.recipes:
        return _together([_plan(recipe_study, lab) for recipe_study in study.by_recipe().values()])
    return _plan(study, lab)


def _plan(study: StudyRequest, lab: AnyLab) -> Plan:
    """The plan of a study of one recipe."""
    folder = DataFolder(lab.files.file_store)
    data = folder.get(study.data)
    if data is None:
        raise NotFound(f"There is no data set {study.data!r} in the data folder.")
    classes = len(data.classes) if data.classes else None
    if classes == 1:
        raise InvalidRequest(f"{study.data} has 1 class; a classifier needs at least 2.")
    sizes = _split_sizes(study, folder, data)
    if sizes is not None and sizes.counted:
        check_trainable(study.recipe, sizes.train, study.data)
    elif data.images is not None:
        check_trainable(study.recipe, data.images, study.data, "images in all splits")
    arms = [resolve(arm.model_copy(update={"classes": classes})) for arm in study.arms()]
    cards = [card for card in run_cards(lab.files) if card.data == data.name]
    cards = [card for card in cards if card.preprocess.input_size == study.size]
    trained = {(arm_key(card.variant), card.seed) for card in cards if card.recipe == study.recipe}
    seeds = range(study.first_seed, study.first_seed + study.seeds)
    runs_to_do = {arm: sum((arm_key(arm), seed) not in trained for seed in seeds) for arm in arms}
    here = [card for card in cards if card.device.startswith(device_name(lab.device))]
    seconds, basis = _time(runs_to_do, study, sizes, here, lab.device)
    return Plan(
        arms=tuple(arm.name for arm in arms),
        runs=len(arms) * study.seeds,
        runs_done=len(arms) * study.seeds - sum(runs_to_do.values()),
        epochs=sum(runs_to_do.values()) * study.recipe.epochs,
        images=data.images,
        seconds=seconds,
        basis=basis,
        notes=(*_notes(study, data, sizes), *_advice(study, arms, cards), *filter(None, map(narrow_bottlenecks, arms))),
    )


class SplitSizes(NamedTuple):
    """Images to train on and to watch after each epoch, and whether they are counted or reckoned from all images."""

    train: int
    watched: int
    counted: bool


def _split_sizes(study: StudyRequest, folder: DataFolder, data: Listed) -> SplitSizes | None:
    """How many images the study will train on and watch; None where the data set was not read yet."""
    if data.inventory is not None:
        records = [record for record in folder.intake(study.data).records if record.split is not None]
        splits = [str(record.split) for record in records]
        if study.validation and "validation" not in splits:
            labels, digests = [record.label for record in records], [record.digest for record in records]
            contents = [record.content for record in records]
            splits = with_validation(splits, labels, digests, study.validation, contents)
        held = splits.count("validation") if study.validation else 0
        return SplitSizes(splits.count("train"), held or splits.count("test"), True)
    if data.images is None:
        return None
    test = math.ceil(TEST_SHARE * data.images)
    watched = math.ceil(study.validation * (data.images - test))
    return SplitSizes(data.images - test - watched, watched or test, False)


def _together(plans: Sequence[Plan]) -> Plan:
    """The plan of a study that chooses among recipes: that of each, added up."""
    seconds = [plan.seconds for plan in plans]
    return plans[0].model_copy(
        update={
            **{name: sum(getattr(plan, name) for plan in plans) for name in ("runs", "runs_done", "epochs")},
            "seconds": None if None in seconds else sum(filter(None, seconds)),
            "notes": tuple(dict.fromkeys(note for plan in plans for note in plan.notes)),
        }
    )


def _time(
    runs_to_do: dict[Variant, int], study: StudyRequest, sizes: SplitSizes | None, cards: list[Card], device: str
) -> tuple[float | None, str]:
    """Seconds of all runs that are left, and what says so."""
    measured: dict[str, list[float]] = {}
    rates: list[float] = []
    for card in cards:
        epoch = card.seconds / card.recipe.epochs
        if epoch > 0:
            measured.setdefault(arm_key(card.variant), []).append(epoch)
            work = _work(card.variant, study.size, card.train_images, card.validation_images or card.test_images)
            rates.append(work / epoch)
    if not any(runs_to_do.values()):
        return 0.0, "Every run was trained before, so nothing is left to train."
    if sizes is None and not all(arm_key(arm) in measured for arm in runs_to_do):
        return None, "How many images there are is known only once they have been read."
    rate = statistics.median(rates) if rates else ROUGH_MACS_PER_S["cuda" if device.startswith("cuda") else "cpu"]
    train, watched, _ = sizes or (0, 0, False)
    total = 0.0
    for arm, runs in runs_to_do.items():
        epochs = measured.get(arm_key(arm))
        epoch = statistics.median(epochs) if epochs else _work(arm, study.size, train, watched) / rate
        total += epoch * runs * study.recipe.epochs
    if all(arm_key(arm) in measured for arm, runs in runs_to_do.items() if runs):
        basis = f"From the time that {len(cards)} finished runs of these networks took on this data and device."
    elif rates:
        basis = (
            f"From {len(cards)} finished runs on this data and device; networks that have none are reckoned by their "
            f"multiply-accumulates, at {rate / 1e9:.2g} G a second."
        )
    else:
        basis = (
            f"Rough, for nothing was trained on this data here yet: multiply-accumulates × images × epochs, three "
            f"passes for an image in training, at {rate / 1e9:.0f} G a second on {device}. It can be off by a factor "
            "of five; after the first epoch the job says it better."
        )
    return total, basis


def _advice(study: StudyRequest, arms: Sequence[Variant], cards: list[Card]) -> list[str]:
    """What so many seeds can tell, by the spread of the runs there are."""
    if study.margin is None or study.score != "accuracy":
        return []
    scores: dict[str, dict[int, float]] = {}
    for card in cards:
        if card.recipe == study.recipe:
            scores.setdefault(arm_key(card.variant), {})[card.seed] = 100 * card.test_accuracy
    first = study.first_look or max(LEAST_SEEDS, study.seeds)
    rule = Rule(len(arms) - 1, first, study.looks, study.margin)
    return [seeds_advice(rule, study.seeds, earlier_spread(scores, arm_key(arms[0])), study.margin)]


def _work(variant: Variant, size: int, train: int, watched: int) -> float:
    """Multiply-accumulates of an epoch and of the look at the images that are watched after it."""
    return count(current(variant), size).total.macs * ((1 + BACKWARD) * train + watched)


def arm_key(variant: Variant) -> str:
    """Give the key by which runs and cards of one arm match: the network, whatever its classes and seed."""
    return current(variant).model_copy(update={"classes": None, "seed": 0, "weights": None}).name


def run_cards(files: Files) -> Iterable[Card]:
    """The cards of the runs that were kept for the owner of these files; a file that is none is passed over."""
    for entry in files.file_store.entries("checkpoints"):
        if not fnmatch(entry.last, owned_name("run-*", files.owner) + ".json"):
            continue
        try:
            yield Card.model_validate_json(files.file_store.path(entry.name).read_bytes())
        except (ValidationError, OSError):
            continue


def _notes(study: StudyRequest, data: Listed, sizes: SplitSizes | None) -> tuple[str, ...]:
    notes = []
    first = study.first_look or max(LEAST_SEEDS, study.seeds)
    looks = [first * 2**look for look in range(study.looks)]
    if not study.choose and (between := seeds_between_looks(study.seeds, looks)) is not None:
        notes.append(between)
    if sizes is not None and study.recipe.batch_size > sizes.train:
        notes.append(
            f"About {sizes.train} of the {data.images} images are for training, and may not fill one batch of "
            f"{study.recipe.batch_size}."
        )
    elif sizes is not None and (unseen := unseen_images(study.recipe, sizes.train)) is not None:
        notes.append(unseen)
    if data.split is False:
        notes.append("The data has no train and test folders; a fifth is kept for the test, by the hash of each file.")
    return tuple(notes)
