"""Why does it not help: what was checked of one network, each with its number, threshold and what it means."""

from collections.abc import Callable

import streamlit as st

from attention.reports.diagnose import DiagnoseReport, DiagnoseRequest, Finding, Statement, Topic
from dashboard.drawing import draw as drawing
from dashboard.drawing import words
from dashboard.drawing.verdicts import interval
from dashboard.language import marked, say
from dashboard.service_sentences import translated
from dashboard.widgets import gates

FINDINGS: dict[Finding, tuple[str, str]] = {
    "ok": (":green[:material/check_circle:]", marked("in order")),
    "notice": (":orange[:material/info:]", marked("worth knowing")),
    "trouble": (":red[:material/warning:]", marked("trouble")),
}
"""Finding -> its icon and its word."""

WORST_FIRST: tuple[Finding, ...] = ("trouble", "notice", "ok")

NOT_DECIDED = marked("Not decided on so many images; more would decide it.")
MEANINGS: dict[Topic, tuple[str, dict[Finding, str]]] = {
    "mean": (
        marked("Does it matter what the gates see in the image?"),
        {
            "ok": marked("Constant gates in their place cost accuracy, so what they see matters."),
            "notice": NOT_DECIDED,
            "trouble": marked("Constant gates in their place do as well or better: attention does not listen here."),
        },
    ),
    "scalar": (
        marked("Do differences between channels matter?"),
        {
            "ok": marked("One number for all channels costs accuracy, so their differences matter."),
            "notice": NOT_DECIDED,
            "trouble": marked("One number for all channels does as well or better."),
        },
    ),
    "neutral": (
        marked("Does the module change the function at all?"),
        {
            "ok": marked("Letting everything through costs accuracy. That is mostly scale, not attention's value."),
            "notice": NOT_DECIDED,
            "trouble": marked("Letting everything through does as well or better: the module might as well be absent."),
        },
    ),
    "constant": (
        marked("Are gates the same for every image?"),
        {
            "ok": marked("Every unit of every gate depends on the image."),
            "notice": marked("Some units do not depend on the image."),
            "trouble": marked("Some gates are constants as a whole and could be folded away."),
        },
    ),
    "saturated": (
        marked("Are gates saturated?"),
        {
            "ok": marked("No unit is below 0.1 or above 0.9 for every image."),
            "notice": marked("Some units are wide open or shut for every image."),
            "trouble": marked("Some gates are wide open or shut as a whole, where they hardly learn."),
        },
    ),
    "dead": (
        marked("Are units of the bottleneck dead?"),
        {
            "ok": marked("Every hidden unit passes its ReLU for some image."),
            "notice": marked("Some hidden units never pass their ReLU."),
            "trouble": marked("In some modules no hidden unit ever passes its ReLU, so their gates see nothing."),
        },
    ),
    "start": (
        marked("What did inserting the module do to the activations?"),
        {
            "ok": marked("A fresh module leaves the activations nearly as they are."),
            "notice": marked("A fresh module scales its branch from the first step; training has to make up for it."),
            "trouble": marked("The backbone was trained without these modules, and they were never trained."),
        },
    ),
    "bottleneck": (
        marked("Is the bottleneck too narrow?"),
        {
            "ok": marked("Every bottleneck has more than two units."),
            "notice": marked("Some bottlenecks have two units. Take a smaller reduction or a least width."),
            "trouble": marked("Some bottlenecks have one unit: all their channels follow one number."),
        },
    ),
    "place": (
        marked("Is it where its paper puts it?"),
        {
            "ok": marked("It stands where its paper puts it."),
            "notice": marked("Its paper puts it somewhere else, so published gains are of another network."),
        },
    ),
    "seeds": (
        marked("How many seeds would show a gain of the published size?"),
        {
            "ok": marked("The default plan of a study is enough."),
            "notice": marked("Only a plan that may grow is enough."),
            "trouble": marked("No default plan is enough: a gain of that size would go unseen."),
        },
    ),
    "images": (
        marked("Are the test images enough for such a gain?"),
        {
            "ok": marked("The gain is larger than what the draw of test images does to an accuracy."),
            "notice": marked("The draw of test images does more than that: compare image by image, with paired seeds."),
            "trouble": marked("One test image is worth more than the gain, so it cannot be seen."),
        },
    ),
}
"""Topic -> its question, and what each finding means."""


def form() -> Callable[[], DiagnoseRequest] | None:
    """Which network on which images."""
    chosen = gates.network_and_images()
    return chosen and (lambda: DiagnoseRequest(variant=chosen[0], images=chosen[1]))


def show(report: DiagnoseReport, final: bool) -> None:
    """Draw the statements of a diagnosis, troubles first: question, number, threshold, meaning, source and places."""
    trouble = sum(statement.finding == "trouble" for statement in report.statements)
    if trouble:
        head = say("%(count)s of %(all)s checks find trouble", count=trouble, all=len(report.statements))
    else:
        head = say("None of %(all)s checks finds trouble", all=len(report.statements))
    st.subheader(head, anchor=False)
    accuracy = "" if report.accuracy is None else say("top-1 %(share)s %%", share=f"{report.accuracy:.2f}") + ", "
    st.caption(f"{words.network_label(report.network.name)}, {translated(report.images)}, {accuracy}n = {report.n:,}")
    drawing.caveats(report.caveats)
    with st.container(border=True, gap="small"):
        for statement in sorted(report.statements, key=lambda statement: WORST_FIRST.index(statement.finding)):
            _statement(statement)
    if final:
        drawing.files(report, f"diagnosis {words.network_label(report.network.name)}", device=report.network.device)


def _statement(statement: Statement) -> None:
    icon, word = FINDINGS[statement.finding]
    question, meanings = MEANINGS[statement.topic]
    left, right = st.columns([5, 1])
    numbers = f" · {numbers_of(statement)}" if statement.number is not None or statement.interval else ""
    left.markdown(f"{icon} **{say(question)}** {say(word)}{numbers}  \n{say(meanings[statement.finding])}")
    left.caption(translated(statement.source))
    if statement.where:
        with right.popover(say("Where"), icon=":material/location_on:", width="stretch"):
            for place in statement.where:
                units = f" ({_list(place.units)})" if place.of > 1 else ""
                st.markdown(f"`{place.path}`: {len(place.units)} / {place.of}{units}")


def numbers_of(statement: Statement) -> str:
    """Format a statement's number, unit, interval and threshold for one line of the page."""
    unit, signed = say(statement.unit), statement.topic in ("mean", "scalar", "neutral")
    number = "> 10,000" if statement.number is None else f"{statement.number:{'+.2f' if signed else ',.3g'}}"
    parts = f"**{number}** {unit}".replace("-", "−")
    if statement.interval is not None:
        ends = statement.interval
        parts += f" [{interval(ends, statement.threshold) if signed else f'{ends.low:,.0f} … {ends.high:,.0f}'}]"
    if statement.threshold is not None:
        parts += " · " + say("threshold %(value)s", value=f"{'± ' * signed}{statement.threshold:g}")
    return parts


def _list(units: tuple[int, ...]) -> str:
    return ", ".join(map(str, units[:12])) + (" …" if len(units) > 12 else "")
