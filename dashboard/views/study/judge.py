""":material/balance: Judge my seeds: what may be said of scores that you have, without training anything."""

import csv
import io

import altair as alt
import pandas as pd
import streamlit as st
from pydantic import ValidationError

from attention.client import ServiceError
from attention.reports.judge import JudgeReport, JudgeRequest, ResultFile
from attention.reports.study import StudyRequest
from dashboard import connect
from dashboard.drawing import draw as drawing
from dashboard.drawing import theme
from dashboard.drawing.marks import Chart
from dashboard.language import marked, say, show_text
from dashboard.refusals import explained
from dashboard.service_sentences import translated
from dashboard.views.study.paired import paired
from dashboard.views.study.panels import DEFINITION, recalls, verdicts
from dashboard.widgets import forms, links

LOOKS = {marked("yes"): 3, marked("no"): 1}
"""Whether seeds may be added after a verdict -> looks of the plan."""
UNITS = {"points": 100.0, "share": 1.0, "percent": 100.0}
"""Units to choose from -> the score of a network that is always right; other units have no usual margin."""
CALLED = {"points": marked("percentage points"), "share": marked("share"), "percent": marked("per cent")}
"""What units are called."""
CSV = ("csv", "tsv", "txt")
EXAMPLE = "study-eca-se"
"""Name of the shipped study whose runs fill the form as an example."""


def main() -> None:
    st.title(say("Judge my seeds"))
    show_text(
        "Paste a table of scores, a run a line, or upload it: is any arm really better than the baseline, and how "
        "many seeds would tell? Exports of TensorBoard, Weights & Biases and MLflow are read as they are."
    )
    links.to("study", say("Study"), ":material/science:")
    request = question()
    if request is None:
        return
    try:
        report = connect.client().ask(request)
    except ServiceError as error:
        st.error(explained(error), icon=":material/error:")
        return
    show(report)


def question() -> JudgeRequest | None:
    """The question that the form asks; None with a sentence if it is none."""
    left, right = st.columns([3, 2], gap="large")
    with left:
        text = st.text_area(
            say("Scores: arm, seed, score"),
            example(),
            height=210,
            key="judge.text",
            help=say("Columns recall:CLASS, one for each class, are drawn as a description without verdicts."),
        )
        uploads = st.file_uploader(say("Or files"), CSV, accept_multiple_files=True, key="judge.files")
    with right:
        first, second = st.columns(2)
        unit = second.selectbox(
            say("Unit"),
            tuple(UNITS),
            format_func=lambda unit: say(CALLED.get(str(unit), str(unit))),
            key="judge.unit",
            accept_new_options=True,
        )
        scale = UNITS.get(unit, 0.0)
        margin = first.number_input(
            say("Margin"),
            0.0,
            value=0.005 * scale,
            step=0.001 * (scale or 1),
            format="%g",
            key="judge.margin" if scale == UNITS["points"] else f"judge.margin.{scale:g}",
            help=say("Smaller differences matter to nobody; 0: none."),
        )
        images = first.number_input(say("Test images"), 0, value=0, key="judge.images", help=say("0: not known."))
        planned = second.number_input(
            say("First look, seeds"), 0, 10_000, 0, key="judge.first", help=say("0: all there are.")
        )
        growing = st.segmented_control(
            say("Seeds may be added after a verdict"),
            list(LOOKS),
            format_func=say,
            default="yes",
            key="judge.looks",
            required=True,
        )
        with st.expander(say("How runs are read"), icon=":material/tune:"):
            baseline = st.text_input(say("Baseline"), key="judge.baseline", help=say("Empty: the first arm."))
            lower = st.toggle(say("Lower is better"), key="judge.lower")
            pairs = st.toggle(say("Runs of one seed belong together"), value=True, key="judge.paired")
            majority = st.number_input(say("Share of the most frequent class"), 0.0, 1.0, 0.0, key="judge.majority")
            pattern = st.text_input(say("Names of runs"), placeholder="{arm}-s{seed}", key="judge.pattern")
            score = st.text_input(say("Metric of an export"), key="judge.score")
            step = st.text_input(say("Step of each run"), placeholder=say("the last"), key="judge.step")
            arm_column = st.text_input(say("Column of the arm"), key="judge.arm")
            seed_column = st.text_input(say("Column of the seed"), key="judge.seed")
    files = [ResultFile(name=file.name, text=file.getvalue().decode("utf-8-sig", "replace")) for file in uploads]
    try:
        return JudgeRequest.model_validate(
            {
                "files": files or [ResultFile(name="pasted", text=text)],
                "margin": margin or None,
                "unit": unit,
                "test_images": images or None,
                "first_look": planned or None,
                "looks": LOOKS[growing],
                "baseline": baseline.strip() or None,
                "lower_is_better": lower,
                "paired": pairs,
                "majority": majority or None,
                "pattern": pattern.strip() or None,
                "score": score.strip() or None,
                "step": step.strip() or None,
                "arm_column": arm_column.strip() or None,
                "seed_column": seed_column.strip() or None,
            }
        )
    except ValidationError as error:
        st.info(forms.sentence(error).removeprefix("Value error, "))
        return None


def example() -> str:
    """Text that fills the form as an example: the runs of a shipped study with few arms, as CSV."""
    shipped = connect.shipped(StudyRequest, EXAMPLE)
    file = io.StringIO()
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow(["arm", "seed", "score"])
    for run in shipped[1].runs if shipped is not None else ():
        if run.test_accuracy is not None:
            arm = run.arm.partition("?")[0].rpartition("/")[2]
            rows.writerow([arm, run.seed, f"{100 * run.test_accuracy:.2f}"])
    return file.getvalue()


def show(report: JudgeReport) -> None:
    """The verdicts first, then the table, the picture and the files."""
    st.subheader(translated(report.headline), anchor=False)
    found = [arm.verdict for arm in report.arms if arm.verdict is not None]
    verdicts(found, {})
    drawing.caveats([*report.caveats, *(note for one in found for note in one.notes)])
    drawing.table(table(report), "verdicts")
    if (chart := differences(report)) is not None:
        drawing.plot(chart)
    if report.classes:
        names = [arm.arm for arm in report.classes]
        legend = alt.Legend(orient="top", title=None)
        recalls(report.classes, {}, alt.Color("arm:N", scale=theme.colours(names), legend=legend))
    with st.expander(say("How a verdict is given"), icon=":material/gavel:"):
        st.markdown(say(DEFINITION))
    drawing.files(report, "verdicts " + " ".join(arm.name for arm in report.arms))


def table(report: JudgeReport) -> pd.DataFrame:
    """The arms as the report prints them, with columns in the reader's language."""
    (printed,) = [table.printed for table in report.tables() if table.printed is not None]
    points = report.unit == "points"
    score = say("score, points") if points else say("score, %(unit)s", unit=report.unit)
    columns = ("arm", "n", score, "difference", "p", "verdict")
    return pd.DataFrame(printed.rows, columns=columns).replace("--", "").set_index("arm")


def differences(report: JudgeReport) -> Chart | None:
    """Each arm's paired differences with the interval of their mean."""
    arms = [arm for arm in report.arms if arm.verdict is not None and (arm.differences or arm.verdict.difference)]
    if not arms:
        return None
    colours = theme.colours([arm.name for arm in report.arms])
    dots = [
        {"arm": arm.name, "seed": seed, "difference": difference}
        for arm in arms
        for seed, difference in zip(arm.seeds, arm.differences, strict=True)
    ]
    bars = [
        {"arm": arm.name, "low": interval.low, "high": interval.high, "mean": interval.estimate, "n": interval.n}
        for arm in arms
        if arm.verdict is not None and (interval := arm.verdict.difference)
    ]
    title = (
        say("score − %(baseline)s (points)", baseline=report.baseline)
        if report.unit == "points"
        else say("score − %(baseline)s (%(unit)s)", baseline=report.baseline, unit=report.unit)
    )
    colour = alt.Color("arm:N", scale=colours, legend=None)
    return paired(dots, bars, [arm.name for arm in arms], report.margin, title, colour)


main()
