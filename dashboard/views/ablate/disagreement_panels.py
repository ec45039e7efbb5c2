"""Where networks disagree: the form, the contact sheet, and how often any two say the same."""

import base64
from collections.abc import Callable

import altair as alt
import pandas as pd
import streamlit as st

from attention.reports.disagreement import RANKS, Answer, DisagreementReport, DisagreementRequest, Entry
from attention.reports.parts.catalog import Catalog
from attention.spec import Pictures, Variant
from dashboard import connect
from dashboard.drawing import draw as drawing
from dashboard.drawing import theme, words
from dashboard.drawing.marks import AXES, STEP, Chart
from dashboard.language import listed, say, show_caption, show_text
from dashboard.service_sentences import translated
from dashboard.widgets import data_sets, forms, gates

MARKS = {True: ":green[✓]", False: ":red[✗]", None: "·"}
CARD = 184
"""Pixels across a card with an image and its answers: six cards fit in a row of a desktop, two of a phone."""
DEFAULT: tuple[Variant, ...] = DisagreementRequest.model_fields["variants"].default


def form() -> Callable[[], DisagreementRequest] | None:
    """Which networks on which images, and what makes the list."""
    catalog: Catalog = connect.catalog()
    variants = forms.variants(catalog, DEFAULT, "variant")
    data = data_sets.data_set()
    left, right = st.columns(2)
    with left:
        rank = st.selectbox(
            say("Listed are images on which"), list(RANKS), format_func=lambda rank: say(RANKS[rank]), key="rank"
        )
    if data is None or not variants:
        return None
    with right:
        limit = gates.images(data)
    return lambda: DisagreementRequest(
        variants=variants, images=Pictures(data=data.name, limit=limit), rank_by=rank, limit=24
    )


def described(request: DisagreementRequest) -> str:
    """A search for disagreement in a line."""
    names = listed(words.labels([variant.name for variant in request.variants]).values())
    data = request.images.data or say("photos")
    return f"**{names}** · " + say("%(name)s: %(text)s", name=data, text=say(RANKS[request.rank_by]))


def show(report: DisagreementReport, final: bool) -> None:
    """The finding, the images, and how often any two arms agree."""
    called = words.labels([network.name for network in report.networks])
    st.subheader(words.relabelled(translated(report.headline), called), anchor=False)
    drawing.caveats(report.caveats, called)
    labels = named(report)
    show_caption(
        "%(differing)s of %(n)s images (%(images)s) have more than one first class; the first "
        "%(entries)s are shown, the most different on top.",
        differing=f"{report.differing:,}",
        n=f"{report.n:,}",
        images=translated(report.images),
        entries=len(report.entries),
    )
    with st.container(horizontal=True, gap="small"):
        for entry in report.entries:
            with st.container(border=True, width=CARD):
                if entry.thumbnail:
                    st.image(base64.b64decode(entry.thumbnail), width="stretch", alt=entry_label(entry, labels))
                st.markdown(entry_label(entry, labels))
    left, right = st.columns(2, gap="large")
    with left:
        show_text("**How often two say the same**")
        drawing.draw(agreement(report), "agreement")
        show_caption("Every two networks, as they are and without attention. Look for pairs that agree least.")
    with right:
        show_text("**What taking attention away changes**")
        drawing.table(flips(report), "flips", index=False)
        if report.calibration:
            show_caption(
                "Gates replaced by: %(removal)s, over %(calibration)s.",
                removal=translated(report.removal or ""),
                calibration=translated(report.calibration),
            )
    st.caption(translated(report.methods))
    if final:
        drawing.files(report, f"disagreement {' '.join(called.values())}")


def named(report: DisagreementReport) -> dict[str, str]:
    """Id of an arm -> what pictures call it."""
    called = words.labels(list(dict.fromkeys(arm.network for arm in report.arms)))
    without = {name: say("%(network)s without attention", network=label) for name, label in called.items()}
    return {arm.id: (without if arm.removed else called)[arm.network] for arm in report.arms}


def entry_label(entry: Entry, labels: dict[str, str]) -> str:
    """What every arm says of an image, the right ones green."""
    lines = [f"**{say(entry.label)}**" if entry.label else ""]
    lines += [
        f"{MARKS[answer.right]} " + say("%(name)s: %(text)s", name=labels[answer.arm], text=_class(answer))
        for answer in entry.answers
    ]
    return "  \n".join(line for line in lines if line)


def _class(answer: Answer) -> str:
    return f"{say(answer.first.label) if answer.first.label else answer.first.index} {answer.first.probability:.0%}"


def agreement(report: DisagreementReport) -> Chart:
    """Arm x arm: share of images with the same first class."""
    labels = named(report)
    rows = [
        {"first": labels[a], "second": labels[b], "agreement": pair.agreement, "kappa": pair.kappa}
        for pair in report.pairs
        for a, b in ((pair.first, pair.second), (pair.second, pair.first))
    ]
    order = [labels[arm.id] for arm in report.arms]
    base = alt.Chart(pd.DataFrame(rows)).encode(
        x=alt.X("first:N", sort=order, title=None, axis=alt.Axis(labelAngle=-30)),
        y=alt.Y("second:N", sort=order, title=None, axis=theme.named_axis()),
    )
    cells = base.mark_rect().encode(
        color=alt.Color(
            "agreement:Q",
            title=say("same first class"),
            scale=alt.Scale(scheme="blues", zero=False),
            legend=alt.Legend(format=".0%", orient="bottom"),
        ),
        tooltip=[
            alt.Tooltip("first:N", title=say("network")),
            alt.Tooltip("second:N", title=say("Compared with")),
            alt.Tooltip("agreement:Q", title=say("agreement"), format=".1%"),
            alt.Tooltip("kappa:Q", title=say("kappa"), format=".3f"),
        ],
    )
    figures = base.mark_text(fontSize=11).encode(
        text=alt.Text("agreement:Q", format=".0%"), color=theme.legible("agreement")
    )
    return alt.layer(cells, figures).properties(height=STEP * len(order) + 3 * AXES)


def flips(report: DisagreementReport) -> pd.DataFrame:
    """What removal does to each network's first classes, ready for a table."""
    called = words.labels([flip.network for flip in report.flips])
    return pd.DataFrame(
        [
            {
                "network": called[flip.network],
                "changed": f"{flip.flipped:,} ({flip.share:.1%})",
                "became right": "" if flip.to_right is None else flip.to_right,
                "became wrong": "" if flip.to_wrong is None else flip.to_wrong,
            }
            for flip in report.flips
        ]
    )
