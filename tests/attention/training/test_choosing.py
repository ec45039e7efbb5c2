"""Choosing by validation: the test images have no part in it, and no verdict comes of it."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from attention.analyses import run
from attention.errors import InvalidRequest
from attention.reports.parts.recipes import RECIPES
from attention.reports.plan import PlanRequest
from attention.reports.study import RunReport, StudyRequest
from attention.spec import Recipe
from attention.storage.folder import FolderStore
from attention.training.choosing import choice_of
from attention.training.run_study import run_study
from attention.training.study import RunStore
from tests.attention.direct_lab import DirectLab
from tests.attention.training.test_train import write_folder

ARMS = ("a", "b", "c")


def ended(arm: str, seed: int, validation: float | None, test: float = 0.5) -> RunReport:
    return RunReport(
        arm=arm,
        seed=seed,
        done=True,
        test_accuracy=test,
        validation_accuracy=validation,
        curve=(),
        seconds=1,
        weights=None,
    )


def test_the_best_mean_on_validation_is_chosen_whatever_the_test_images_say() -> None:
    runs = [ended("a", seed, 0.70 + seed / 100, test=0.99) for seed in range(3)]
    runs += [ended("b", seed, 0.80 - seed / 100, test=0.10 + seed / 100) for seed in range(3)]
    runs += [ended("c", seed, 0.75, test=0.90) for seed in range(3)]
    choice = choice_of(ARMS, runs)
    assert choice is not None and (choice.arm, choice.n, choice.next_seed) == ("b", 3, 3)
    assert choice.validation_accuracy == pytest.approx({"a": 71, "b": 79, "c": 75})
    assert choice.test_accuracy == pytest.approx(11)
    assert "b (79.00 %; the next is c with 75.00 %)" in choice.sentence
    assert "test it in a new plan with seeds from 3 on" in choice.sentence


def test_only_seeds_of_every_arm_count_and_of_equals_the_first_is_taken() -> None:
    runs = [ended(arm, 0, 0.6) for arm in ARMS] + [ended("c", 1, 0.99), ended("b", 1, None)]
    choice = choice_of(ARMS, runs)
    assert choice is not None and (choice.arm, choice.n, choice.next_seed) == ("a", 1, 2)
    assert choice_of(ARMS, [run for run in runs if run.arm != "a"]) is None


def ask(**changes: object) -> StudyRequest:
    grid = {"base": "resnet20(width=4)/se", "vary": {"options.reduction": [1, 2, 4]}}
    return StudyRequest.model_validate(
        {"data": "rgb", "size": 8, "grids": [grid], "seeds": 2, "choose": True, **changes}
        | {"recipe": {"epochs": 2, "batch_size": 8, "lr": 0.1, "crop_padding": 0}}
    )


@pytest.mark.full
def test_a_sweep_ends_in_a_choice_and_records_no_plan(tmp_path: Path) -> None:
    write_folder(tmp_path / "datasets" / "rgb")
    headlines: list[str] = []

    def listen(done: int, total: int, note: str = "", partial: object = None) -> None:
        headlines.append(getattr(partial, "headline", ""))

    report = run_study(ask(), RunStore(FolderStore(tmp_path), "cpu"), listen)
    assert report.choice is not None and report.headline == report.choice.sentence and report.choice.n == 2
    assert report.plan is None and all(arm.verdict is None for arm in report.arms)
    assert (
        not list((tmp_path / "runs").glob("plans/*")) and report.choice.sentence.replace("%", r"\%") in report.latex()
    )
    assert headlines[1].startswith("The study is still running: ")
    means = report.choice.validation_accuracy
    for arm in report.arms:
        own = [run.validation_accuracy or 0 for run in report.runs if run.arm == arm.name]
        assert means[arm.name] == pytest.approx(100 * sum(own) / 2)
    assert means[report.choice.arm] == max(means.values())
    again = run_study(ask(choose=False), RunStore(FolderStore(tmp_path), "cpu"), listen)
    assert again.choice is None and [run.seconds for run in again.runs] == [run.seconds for run in report.runs]


@pytest.mark.full
def test_nothing_is_chosen_where_nothing_was_learned(tmp_path: Path) -> None:
    write_folder(tmp_path / "datasets" / "rgb")
    stuck = {"epochs": 1, "batch_size": 16, "lr": 1e-6, "crop_padding": 0}
    store = RunStore(FolderStore(tmp_path), "cpu")
    request = ask().model_copy(update={"recipe": Recipe.model_validate(stuck)})
    several = StudyRequest.model_validate({**ask().model_dump(), "recipes": [stuck, stuck | {"ema": 0.5}]})
    for study in (request, several):
        report = run_study(study, store, lambda *_, **__: None)
        assert report.choice is None and "Nothing is chosen, for nothing was learned" in report.headline


def test_there_must_be_validation_images_to_choose_by(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="Choosing needs validation images"):
        ask(validation=0)
    write_folder(tmp_path / "datasets" / "rgb", train_count=16)
    with pytest.raises(InvalidRequest, match="too small to hold out validation images"):
        run_study(ask(validation=0.01), RunStore(FolderStore(tmp_path), "cpu"), lambda *_, **__: None)


@pytest.mark.full
def test_recipes_are_chosen_among_by_validation_and_each_run_is_kept(tmp_path: Path) -> None:
    write_folder(tmp_path / "datasets" / "rgb")
    recipes = [{"epochs": epochs, "batch_size": 8, "lr": 0.1, "crop_padding": 0} for epochs in (2, 3)]
    request = StudyRequest.model_validate({**ask().model_dump(), "recipes": recipes})
    planned = run(PlanRequest(study=request), DirectLab(tmp_path))
    assert (planned.runs, planned.epochs) == (3 * 2 * 2, 3 * 2 * (2 + 3))
    heard: list[tuple[int, int]] = []
    store = RunStore(FolderStore(tmp_path), "cpu")
    report = run_study(request, store, lambda done, total, note="", partial=None: heard.append((done, total)))
    arms = [arm.name for arm in report.arms]
    assert heard[-1] == (3 * 2 * (2 + 3), 3 * 2 * (2 + 3)) and len({total for _, total in heard}) == 1
    assert report.choice is not None and report.plan is None and report.choice.next_seed == 2
    means = report.choice.validation_accuracy
    for number, study in enumerate(request.by_recipe().values(), start=1):
        one = run_study(study, store, lambda *_, **__: None)  # kept, so nothing is trained again
        assert one.choice is not None
        for arm in arms:
            assert means[f"{arm} (recipe {number})"] == one.choice.validation_accuracy[arm]
    assert means[report.choice.arm] == max(means.values())
    chosen = 0 if report.choice.arm.endswith("(recipe 1)") else 1
    assert report.recipe == request.recipes[chosen] and report.headline == report.choice.sentence


@pytest.mark.parametrize(("recipes", "choose"), [(["quick", "standard"], False), (["quick", "quick"], True)])
def test_several_recipes_are_only_for_choosing(recipes: list[str], choose: bool) -> None:
    with pytest.raises(ValidationError, match="Recipes are compared by validation accuracy alone"):
        ask(recipes=recipes, choose=choose)
    named = ask(recipes=["quick", "standard"]).by_recipe()
    assert {name: study.recipe for name, study in named.items()} == {name: RECIPES[name] for name in named}
