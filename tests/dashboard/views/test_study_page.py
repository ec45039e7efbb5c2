"""The study page: data, form and estimate before a study, progress while it runs, the verdict first when it is done."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from attention.client import Client
from attention.reports.parts.recipes import RECIPE_NOTES, RECIPES
from attention.reports.parts.study_choice import Choice
from attention.reports.study import CurvePoint, DataFacts, RunReport, StudyReport, StudyRequest
from attention.spec import Variant
from attention.training.summary import summarise
from dashboard import connect
from dashboard.drawing import marks as charts
from dashboard.views.study import charts as study_charts
from dashboard.widgets import jobs
from server.settings import Settings
from server.store import Store

PAGE = Path(study_charts.__file__).parent / "page.py"
CHART = "vega_lite_chart"
ARMS = tuple(Variant.parse(name) for name in ("resnet20/none", "resnet20/se", "resnet20/eca"))
GAINS = {"resnet20/none": 0.0, "resnet20/se": 0.011, "resnet20/eca": 0.001}
REQUEST = StudyRequest(data="shades", variants=ARMS, seeds=6, size=8)


def study(seeds: int = 6, request: StudyRequest = REQUEST) -> StudyReport:
    """A report from runs made by hand: SE gains about a point with every seed, ECA wavers around a tenth."""
    arms = list(request.arms())
    runs = [
        RunReport(
            arm=arm.name,
            seed=seed,
            done=True,
            test_accuracy=accuracy,
            curve=tuple(
                CurvePoint(epoch=epoch, loss=2 / epoch, test_accuracy=accuracy * epoch / 2, seconds=1.5)
                for epoch in (1, 2)
            ),
            seconds=3,
            weights=f"file:run-{seed}",
        )
        for seed in range(seeds)
        for arm in arms
        for accuracy in [0.8 + seed / 100 + GAINS.get(arm.name, 0.0) + (-1) ** seed * len(arm.name) / 5e4]
    ]
    facts = DataFacts(
        name="shades",
        classes=("dark", "light"),
        train_images=10_000,
        test_images=10_000,
        size=8,
        split_by_hash=False,
        duplicates=0,
        duplicates_across_splits=0,
        label_conflicts=0,
        fingerprint="0" * 64,
        train_per_class=(5000, 5000),
        test_per_class=(5000, 5000),
    )
    return summarise(request, arms, runs, facts, "cpu: some")


def drawn(chart: charts.Chart | None) -> Any:
    assert chart is not None
    return json.loads(chart.to_json())


def rows(spec: Any) -> list[dict[str, Any]]:
    return [row for data in spec["datasets"].values() for row in data]


# ---------------------------------------------------------------- pictures


@pytest.mark.full
def test_every_seed_is_a_dot_and_every_interval_the_reports_own() -> None:
    report = study()
    found = rows(drawn(study_charts.differences(report)))
    dots = [row for row in found if "seed" in row]
    assert [row["seed"] for row in dots if row["arm"] == "SE"] == list(range(6))
    assert [row["difference"] for row in dots if row["arm"] == "SE"] == pytest.approx(report.arms[1].differences)
    bar = next(row for row in found if "n" in row and row["arm"] == "SE")
    verdict = report.arms[1].verdict
    assert verdict is not None and verdict.difference is not None
    assert (bar["low"], bar["high"], bar["n"]) == (verdict.difference.low, verdict.difference.high, 6)
    assert {"low": -0.5, "high": 0.5} in found, "the margin is shaded"
    assert "none" not in {row.get("arm") for row in found}, "the baseline is not compared with itself"


def test_a_dot_says_the_seed_that_both_arms_have() -> None:
    report = study()
    lost = report.runs[1].model_copy(update={"test_accuracy": None, "failed": "No."})
    runs = [lost if run == report.runs[1] else run for run in report.runs]
    partial = summarise(REQUEST, list(REQUEST.arms()), runs, report.data, "cpu")
    assert study_charts.shared_seeds(partial)["resnet20/se"] == [1, 2, 3, 4, 5]
    assert study_charts.differences(partial) is not None


def test_with_nothing_to_compare_there_is_no_picture() -> None:
    empty = study(seeds=0)
    assert study_charts.differences(empty) is None
    assert study_charts.gains(empty, "extra_macs") is None
    assert study_charts.curves(empty) is None
    assert study_charts.sweeps(empty) == {}
    assert list(study_charts.table(empty)["n"]) == ["0", "0", "0"]


def test_cost_stands_beside_gain() -> None:
    report = study()
    found = {row["arm"]: row for row in rows(drawn(study_charts.gains(report, "extra_parameters"))) if "arm" in row}
    assert found["SE"]["cost"] == report.arms[1].extra_parameters > found["ECA"]["cost"] > 0
    assert found["SE"]["gain"] == pytest.approx(1.1, abs=0.05)


def test_curves_have_every_run_and_the_mean_of_each_arm() -> None:
    spec = drawn(study_charts.curves(study()))
    assert len(rows(spec)) == 3 * 6 * 2
    assert spec["layer"][1]["encoding"]["y"]["aggregate"] == "mean"


def test_the_table_says_mean_spread_interval_n_and_p() -> None:
    table = study_charts.table(study())
    assert list(table.index) == ["None", "SE", "ECA"]
    assert (table.loc["None", "difference"], table.loc["None", "n"]) == ("baseline", "6")
    assert (table.loc["SE", "verdict"], table.loc["SE", "p"]) == ("better", "< 0.001")
    assert table.loc["SE", "difference"].startswith("+1.1")
    assert table.loc["ECA", "verdict"] == "no difference larger than the margin"


@pytest.mark.full
def test_a_sweep_of_three_values_has_its_picture() -> None:
    swept = tuple(Variant.parse(f"resnet20/se(reduction={r})") for r in (8, 4, 2))
    request = REQUEST.model_copy(update={"variants": (Variant.parse("resnet20/none"), *swept)})
    found = study_charts.sweeps(study(request=request))
    (title,) = found
    assert "reduction" in title
    assert [row["value"] for row in rows(drawn(found[title]))] == [2, 4, 8]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "1 s"), (89, "89 s"), (600, "10 min"), (3 * 3600 + 300, "3 h 5 min"), (90 * 3600, "3 d 18 h")],
)
def test_a_duration_is_told_as_people_do(seconds: float, text: str) -> None:
    assert jobs.duration(seconds) == text


# ---------------------------------------------------------------- the page


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """No job runs: what they would have found is put into the store."""
    return Settings(data=tmp_path / "data", device="cpu", threads=1, jobs=0)


@pytest.fixture
def page(client: Client, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setattr(connect, "client", lambda: client)
    monkeypatch.setattr(client, "shipped", lambda name: None)
    return AppTest.from_file(PAGE, default_timeout=120)


@pytest.fixture
def wizard(page: AppTest) -> AppTest:
    """The page with the dialog of a new study at its last step, as a link opens it."""
    page.query_params["new"] = "recipe"
    return page


@pytest.fixture
def shades(settings: Settings) -> None:
    for split in ("train", "test"):
        for label in ("dark", "light"):
            folder = settings.folder / "datasets" / "shades" / split / label
            folder.mkdir(parents=True)
            for number in range(170 if split == "train" else 4):  # enough for a batch of every recipe
                Image.new("RGB", (8, 8), (number, 0, 0)).save(folder / f"{number}.png")


def claimed(settings: Settings) -> tuple[str, Any, Store]:
    store = Store(settings.database_url)
    job = store.jobs.add(REQUEST, 9)  # as if its data had been here
    claim = store.jobs.claim(job.id)
    assert claim is not None
    return job.id, claim, store


def texts(elements: Any) -> str:
    return "\n".join(str(element.value) for element in elements)


@pytest.mark.full
@pytest.mark.usefixtures("nothing_shipped")
def test_without_data_the_page_says_what_a_study_is_and_how_to_bring_data(page: AppTest) -> None:
    page.run()
    assert not page.exception and not page.error
    assert "Is the gain real" in page.info[0].value
    page.button(key="new").click().run()
    assert "datasets/NAME" in texts(page.markdown)
    assert page.button(key="next").disabled and not [button for button in page.button if button.key == "start"]


@pytest.mark.full
def test_a_new_study_is_asked_for_in_three_steps_of_which_none_is_left_while_a_fault_stands_in_it(
    page: AppTest, shades: None
) -> None:
    page.run()
    page.button(key="new").click().run()
    assert page.query_params["new"] in ("data", ["data"])
    page.button(key="next").click().run()
    page.button_group(key="study.modules").set_value([]).run()
    assert "at least two different networks" in texts(page.info)
    assert page.button(key="next").disabled and page.button(key="step.recipe").disabled
    page.button_group(key="study.modules").set_value(["gc"])
    page.toggle(key="sweep").set_value(True).run()
    page.text_input(key="sweep.se.reduction").set_value("hello").run()
    assert "reduction" in texts(page.error) and page.button(key="next").disabled
    page.toggle(key="sweep").set_value(False).run()
    page.button(key="next").click().run()
    page.number_input(key="seeds").set_value(7).run()
    page.button(key="back").click().run()
    page.button(key="back").click().run()
    page.button(key="step.recipe").click().run()
    assert page.number_input(key="seeds").value == 7
    assert {metric.label: metric.value for metric in page.metric}["Runs"] == "14"
    assert page.query_params["study.modules"] in ("gc", ["gc"])


@pytest.mark.full
def test_a_link_that_wants_networks_trained_opens_the_form_with_their_chips(page: AppTest, shades: None) -> None:
    page.query_params["arm"] = ["resnet32/cbam", "resnet32/se(reduction=4)"]
    page.run()
    assert page.query_params["new"] in ("networks", ["networks"])
    assert page.selectbox(key="study.backbone").value == "resnet32"
    assert page.button_group(key="study.modules").value == ["cbam"]
    assert page.multiselect(key="arm").value == ["resnet32/se(reduction=4)"]


@pytest.mark.full
def test_the_time_is_told_before_a_study_starts_and_its_job_stands_in_the_address(
    wizard: AppTest, client: Client, shades: None
) -> None:
    wizard.run()
    assert not wizard.exception and not wizard.error
    told = {metric.label: metric.value for metric in wizard.metric}
    assert (told["Networks"], told["Runs"], told["Epochs to train"]) == ("3", "24", "192")
    assert "Rough" in texts(wizard.caption)
    wizard.number_input(key="seeds").set_value(3).run()
    assert "the first verdict is given at 6" in texts(wizard.warning)
    wizard.button(key="start").click().run()
    assert not wizard.exception
    (job,) = client.jobs()
    assert wizard.query_params["job"] in (job.id, [job.id])
    asked = StudyRequest.model_validate(job.request)
    assert (asked.data, asked.seeds, asked.recipe) == ("shades", 3, RECIPES["quick"])
    assert [arm.name for arm in asked.arms()] == [arm.name for arm in ARMS]
    wizard.button(key="cancel").click().run()
    assert client.job(job.id).state == "cancelled"
    assert "cancelled" in texts(wizard.markdown)


@pytest.mark.full
def test_the_batches_of_the_form_are_filled_by_the_photos_that_come_along(wizard: AppTest) -> None:
    """Of 200 photos half are for the test and a tenth of the others for validation: a batch of 128 made it fail."""
    wizard.run()
    assert wizard.number_input(key="recipe.quick.batch_size").value == 64 <= 90


@pytest.mark.full
def test_a_preset_a_field_of_it_and_a_sweep_are_asked_for(wizard: AppTest, client: Client, shades: None) -> None:
    wizard.run()
    wizard.button_group(key="study.modules").set_value([])
    wizard.toggle(key="sweep").set_value(True).run()
    wizard.text_input(key="sweep.se.reduction").set_value("2, 4").run()
    wizard.button_group(key="preset").set_value("standard").run()
    assert RECIPE_NOTES["standard"] in texts(wizard.caption) and RECIPE_NOTES["quick"] not in texts(wizard.caption)
    wizard.number_input(key="recipe.standard.epochs").set_value(7).run()
    wizard.button(key="start").click().run()
    assert not wizard.exception and not wizard.error
    asked = StudyRequest.model_validate(client.jobs()[0].request)
    assert [arm.options.get("reduction") for arm in asked.arms()] == [None, 2, 4]
    assert asked.recipe == RECIPES["standard"].model_copy(update={"epochs": 7})


@pytest.mark.full
def test_recipes_are_chosen_among_in_the_form(wizard: AppTest, client: Client, shades: None) -> None:
    wizard.run()
    wizard.toggle(key="choose").set_value(True).run()
    wizard.multiselect(key="recipes").set_value(["quick"]).run()
    assert "name two or more" in texts(wizard.info)
    wizard.multiselect(key="recipes").set_value(["quick", "standard"]).run()
    assert {metric.label: metric.value for metric in wizard.metric}["Runs"] == str(2 * 3 * 8)
    wizard.button(key="start").click().run()
    assert not wizard.exception and not wizard.error
    asked = StudyRequest.model_validate(client.jobs()[0].request)
    assert asked.choose and asked.recipes == (RECIPES["quick"], RECIPES["standard"])


@pytest.mark.full
def test_what_was_chosen_stands_with_every_validation_accuracy(page: AppTest, settings: Settings) -> None:
    job_id, claim, store = claimed(settings)
    se, eca = (arm.name for arm in ARMS[1:])
    means = {f"{se} (quick)": 81.25, f"{se} (standard)": 84.5, f"{eca} (quick)": 80.0, f"{eca} (standard)": 83.0}
    chosen = Choice(arm=f"{se} (standard)", n=3, validation_accuracy=means, test_accuracy=79.5, next_seed=3)
    store.jobs.finish(claim, study().model_copy(update={"choice": chosen, "headline": chosen.sentence}))
    store.close()
    page.query_params["job"] = job_id
    page.run()
    assert not page.exception and not page.error
    table = next(shown.value for shown in page.table if "chosen" in shown.value.columns)
    assert list(table["validation accuracy, %"]) == ["84.50", "83.00", "81.25", "80.00"]
    assert list(table["behind the best, points"]) == ["0.00", "1.50", "3.25", "4.50"]
    assert [bool(mark) for mark in table["chosen"]] == [True, False, False, False]
    assert "79.50 % on them, and is tested with seeds from 3 on" in texts(page.caption)


@pytest.mark.full
def test_a_running_study_shows_how_far_it_is_and_what_is_known(page: AppTest, settings: Settings) -> None:
    job_id, claim, store = claimed(settings)
    store.jobs.progress(claim, 12, 48, "resnet20/se, seed 1: epoch 2 of 8", 90.0, study(seeds=2))
    page.query_params["job"] = job_id
    page.run()
    assert not page.exception and not page.error
    assert "too few seeds" in texts(page.markdown)
    assert page.button(key="cancel")
    assert len(page.get(CHART)) == 2, "before the first look there is no interval, so no picture of gains"
    store.jobs.finish(claim, study())
    store.close()
    page.run()
    assert page.subheader[0].value.startswith("SE is better by +1.1"), "the verdict comes first"


@pytest.mark.full
def test_a_finished_study_opens_with_its_verdict(page: AppTest, settings: Settings) -> None:
    job_id, claim, store = claimed(settings)
    store.jobs.finish(claim, study())
    store.close()
    page.query_params["job"] = job_id
    page.run()
    assert not page.exception and not page.error
    assert page.subheader[0].value.startswith("SE is better by +1.1")
    assert ":blue-badge[no difference]" in texts(page.markdown)
    assert list(page.table[0].value.index) == ["None", "SE", "ECA"]
    assert len(page.get(CHART)) == 2
    page.query_params["study.curves"] = "true"
    assert len(page.run().get(CHART)) == 3, "curves are drawn when they are opened"
    assert not [button for button in page.button if button.key == "cancel"]


@pytest.mark.full
def test_a_cancelled_study_says_that_it_was_cancelled(page: AppTest, client: Client, settings: Settings) -> None:
    job_id, claim, store = claimed(settings)
    store.jobs.progress(claim, 12, 48, "resnet20/se, seed 1: epoch 2 of 8", 90.0, study(seeds=2))
    store.close()
    assert "still running: 6 of 18 runs" in client.report(job_id, StudyReport).headline
    client.cancel(job_id)
    page.query_params["job"] = job_id
    page.run()
    headline = page.subheader[0].value
    assert "was cancelled" in headline and "6 are kept" in headline and "running" not in headline


@pytest.mark.full
@pytest.mark.usefixtures("shades")
def test_a_failed_study_says_why_and_can_go_on(page: AppTest, client: Client, settings: Settings) -> None:
    job_id, claim, store = claimed(settings)
    store.jobs.fail(claim, "There is no data set 'shades'.")
    store.close()
    page.query_params["job"] = job_id
    page.run()
    assert "no data set 'shades'" in texts(page.error)
    page.button(key="go_on").click().run()
    assert len(client.jobs()) == 2 and client.jobs()[0].request == client.job(job_id).request


@pytest.mark.full
def test_a_link_to_a_job_that_is_not_here_says_so(page: AppTest) -> None:
    page.query_params["job"] = "nothing"
    page.run()
    assert not page.exception
    assert "not stored here" in page.warning[0].value


@pytest.mark.full
def test_the_shipped_study_opens_by_default(page: AppTest, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    flowers = study().model_copy(update={"data": study().data.model_copy(update={"name": "Five flowers"})})
    stored = client.stored("shipped-study").model_copy(update={"report": flowers.model_dump(mode="json")})
    monkeypatch.setattr(client, "shipped", lambda name: stored)
    page.run()
    assert not page.exception and not page.error
    assert page.subheader[0].value.startswith("SE is better by +1.1")
    assert "comes with the service" in texts(page.caption)
    assert "/look?trained=five-flowers" in texts(page.markdown)
