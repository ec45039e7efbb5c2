"""What Classes shows of many images: curves by class and stage, and the stripe test of several networks."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

import streamlit as st
from pydantic import ValidationError

from attention.reports.excitation import ExcitationReport, ExcitationRequest, ExcitedGate
from attention.reports.stripe import StripeReport, StripeRequest
from attention.spec import Plain, Variant
from dashboard.drawing import draw as drawing
from dashboard.drawing import words
from dashboard.language import listed, marked, say, show_caption, show_text
from dashboard.service_sentences import translated
from dashboard.views.look import class_charts
from dashboard.views.look.class_form import Subjects
from dashboard.widgets import forms, jobs, linked

R = TypeVar("R", bound=Plain)

AT_ONCE = 500
"""More images than this are a job."""
MOST_STRIPES = 2048
"""The stripe test keeps whole matrices, so it takes at most so many images."""
WIDE = 2
"""Pictures side by side."""

GATES, AROUND = marked("gates"), marked("differences from all classes")


def definitions() -> None:
    """What every word on the page means."""
    with st.popover(say("What the words mean"), icon=":material/help:"):
        show_text(
            "- **Gate**: the number a channel is multiplied by; one number a channel and image.\n"
            "- **Static share**: Var over channels of the mean gate / variance of all its values. 1 is the same "
            "for every image: stripes without breaks.\n- **Class share**: variance of class means / variance over "
            "images, each averaged over channels. 1 depends on the class alone. *By chance* is what it would be "
            "if labels meant nothing: (classes − 1) / (images − 1).\n- **Spread within a class**: standard "
            "deviation over its images (divided by n − 1).\n- **Saturation**: shares of entries below 0.1 and "
            "above 0.9, where a sigmoid hardly moves.\n- **Order between images**: Spearman's rank correlation of "
            "the channels' order, mean over pairs of images. 1: every image ranks channels alike.\n- **Effective "
            "rank**: exp(entropy of the normalised singular values) of images × channels; 1 is one pattern, "
            "scaled. *Centred*: the same after each channel's mean is taken off."
        )
        show_caption(
            "Curves: Hu et al., Squeeze-and-Excitation Networks, Fig. 6 and 7 (arXiv 1709.01507). Stripes: Huang, "
            "Zhong et al., ECCV 2024 (arXiv 2304.06345). Effective rank: Roy & Vetterli 2007."
        )


# ---------------------------------------------------------------- curves


def curves(variant: Variant, subjects: Subjects) -> ExcitationReport | None:
    """The mean gate of each class, by channel, for the last block of every stage."""
    st.subheader(say("Curves by class and stage"), anchor=False)
    request = ExcitationRequest(variant=variant, pictures=subjects.pictures)
    many = subjects.count > AT_ONCE
    return jobs.answered(
        request, many, say("Averaging gates by class"), lambda one, end: show_curves(one, subjects.called, end)
    )


def show_curves(report: ExcitationReport, called: Mapping[str, str], files: bool = True) -> None:
    """The picture of the SE paper, stage by stage."""
    drawing.caveats(report.caveats)
    names = [row.label for row in report.classes]
    left, right = st.columns([1, 3], gap="medium", vertical_alignment="bottom")
    chosen = linked.choice(
        left.selectbox,
        say("Photo to bring out") if called else say("Class to bring out, with its spread"),
        {name: called.get(name, name) for name in names},
        "out",
        names[0],
        state=f"out.{hash(tuple(names))}",
    )
    drawn = linked.choice(
        right.segmented_control, say("Curves show"), {"gates": say(GATES), "around": say(AROUND)}, "curves", "gates"
    )
    for start in range(0, len(report.gates), WIDE):
        some = report.gates[start : start + WIDE]
        layers = words.gate_labels(some)
        for gate, column in zip(some, st.columns(min(WIDE, len(report.gates)), gap="medium"), strict=False):
            column.markdown(
                say(
                    "**Stage %(stage)s**, layer %(layers)s, %(channels)s channels",
                    stage=gate.stage,
                    layers=layers[gate.path],
                    channels=gate.channels,
                )
            )
            with column:
                drawing.draw(class_charts.curves(gate, chosen, called, drawn == "around"), f"curves-{gate.path}")
            column.caption(_in_words(gate))
    show_caption(
        "A line is a class, the dashed one the mean of all, the band one standard deviation within the chosen "
        "class. Look for stages where the lines lie on each other: there the gate does not tell classes apart. In "
        "the SE paper early stages agree and late ones differ."
    )
    if files:
        about = f"class-curves {words.network_label(report.network.name)}"
        drawing.save(say("Curves (CSV)"), lambda: class_charts.curves_csv(report), f"{about} all.csv", "text/csv")
        drawing.files(
            report,
            about,
            device=say("%(device)s, %(images)s images", device=report.network.device, images=f"{report.images:,}"),
        )


def _in_words(gate: ExcitedGate) -> str:
    phrases = [say("classes differ by %(between)s", between=f"{gate.between:.3f}")]
    if gate.within is not None:
        phrases.append(say("images of one class by %(within)s", within=f"{gate.within:.3f}"))
    if gate.static_share is not None:
        phrases.append(say("static share %(static_share)s", static_share=f"{gate.static_share:.2f}"))
    if gate.class_share is not None:
        phrases.append(
            say(
                "class share %(class_share)s (by chance %(value)s)",
                class_share=f"{gate.class_share:.2f}",
                value=f"{gate.class_share_by_chance or 0:.2f}",
            )
        )
    return (listed(phrases) + say(".")).capitalize() + (f" {translated(gate.reduced)}" if gate.reduced else "")


# ---------------------------------------------------------------- stripes


def stripes(variants: Sequence[Variant], subjects: Subjects, stages: Sequence[ExcitedGate]) -> None:
    """Images by channels for each network, what of it is the same for every image, over depth and in numbers.

    Args:
        stages: gates of the first network to choose from for the map, from input to output.
    """
    st.subheader(say("Stripes: what is the same for every image"), anchor=False)
    if subjects.count < 2:
        st.info(say("One image shows no stripes. Take at least two."))
        return
    pictures, many = subjects.pictures, subjects.count > AT_ONCE
    if pictures.data is not None and pictures.limit > MOST_STRIPES:
        show_caption(
            "Every image's gates are kept for it, so it takes %(most_stripes)s of these images.",
            most_stripes=f"{MOST_STRIPES:,}",
        )
        pictures = pictures.model_copy(update={"limit": MOST_STRIPES})
    try:
        request = StripeRequest(
            variants=tuple(variants),
            pictures=pictures,
            gate=_drawn(stages),
            rows=class_charts.ROWS,
            columns=class_charts.columns(len(variants)),
        )
    except ValidationError as error:
        st.error(forms.sentence(error))
        return
    jobs.answered(
        request, many, say("Laying gates side by side"), lambda one, end: show_stripes(one, subjects.called, end)
    )


def _drawn(stages: Sequence[ExcitedGate]) -> str | None:
    """Path of the gate whose map is drawn; None is the last of each network."""
    paths = {f"{gate.stage}": gate.path for gate in stages}
    if len(paths) < 2:
        return None
    last = list(paths)[-1]
    picked = linked.choice(
        st.segmented_control,
        say("Stage to draw (its last block)"),
        list(paths),
        "stage",
        last,
        state=f"stage.{len(paths)}",
    )
    return None if picked == last else paths[picked]


def show_stripes(report: StripeReport, called: Mapping[str, str], files: bool = True) -> None:
    """Maps, shares over depth, order between networks, and the table."""
    drawing.caveats(report.caveats)
    label, layers = words.labels([network.name for network in report.networks]), class_charts.layers(report)
    for start in range(0, len(report.maps), WIDE):
        some = report.maps[start : start + WIDE]
        for drawn, column in zip(some, st.columns(min(WIDE, len(report.maps)), gap="large"), strict=False):
            column.markdown(
                say(
                    "**%(label)s**, layer %(layers)s",
                    label=label[drawn.variant],
                    layers=layers[drawn.variant, drawn.gate],
                )
            )
            with column:
                drawing.draw(class_charts.stripes(drawn, called), f"stripes-{label[drawn.variant]}")
    show_caption(
        "A row is an image, a column a channel; pale is the mean of this gate, and each picture has a scale of its "
        "own. Unbroken vertical stripes are channels that are weighed alike whatever the image; blocks between the "
        "lines are channels that follow the class."
    )
    left, right = st.columns(2, gap="large")
    for (share, (title, _, look)), column in zip(class_charts.SHARES.items(), (left, right), strict=True):
        if (chart := class_charts.shares(report, share)) is not None:
            column.markdown(f"**{say(title)}**")
            with column:
                drawing.draw(chart, share)
            column.caption(say(look))
    if (chart := class_charts.orders(report)) is not None:
        show_text("**Do the networks rank channels alike?**")
        drawing.draw(chart, "order-of-channels")
        show_caption("Near 0 they do not: which channels are weighed up is a matter of the module, or of training.")
    if box := linked.opened(say("All %(gates)s gates in numbers", gates=len(report.gates)), "gates", "table_rows"):
        with box:
            st.dataframe(drawing.in_words(class_charts.table(report)), hide_index=True, width="stretch")
            show_caption("A dash is what cannot be computed, such as the order of channels that are all alike.")
    if files:
        drawing.files(
            report,
            "stripes " + " ".join(label.values()),
            device=say("%(device)s, %(images)s images", device=report.networks[0].device, images=f"{report.images:,}"),
        )
