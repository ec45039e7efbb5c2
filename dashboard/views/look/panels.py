"""What a page shows of a comparison: cards of predictions, pictures of gates, statistics, downloads."""

import streamlit as st

from attention.reports.checkpoints import LoadReport
from attention.reports.compare import Comparison, VariantSummary
from attention.schemas import Image
from dashboard import connect
from dashboard.drawing import marks as charts
from dashboard.drawing import tables, words
from dashboard.widgets import photos

ORDERS = ["in order", "sorted by weight"]


def warnings(report: Comparison) -> None:
    """What to know before reading anything else, each thing once, with the networks it is about."""
    for warning in dict.fromkeys(variant.warning for variant in report.variants if variant.warning):
        warned = [words.called(report)[variant.name] for variant in report.variants if variant.warning == warning]
        st.warning(f"**{', '.join(warned)}.** {warning}", icon=":material/warning:")
    for caveat in report.caveats:
        st.warning(words.relabelled(caveat, words.called(report)), icon=":material/warning:")


def predictions(report: Comparison, image: Image) -> None:
    """One card a variant: what it says, how sure it is, and whether that means anything."""
    called, drawn = words.called(report), charts.predictions(report, image.id)
    left, right = st.columns([1, 4], gap="medium")
    left.image(connect.picture(image, 480), width="stretch")
    left.caption(f"{photos.title(image)}, {image.width} × {image.height} pixels")
    wide = min(3, len(report.variants))
    with right:
        for start in range(0, len(report.variants), wide):
            for variant, column in zip(report.variants[start : start + wide], st.columns(wide), strict=False):
                with column.container(border=True):
                    st.markdown(f"**{called[variant.name]}** {badge(variant)}")
                    st.altair_chart(drawn[called[variant.name]], width="stretch")
                    size = variant.preprocess.size
                    st.caption(
                        f"Sees the photo's centre at {size} × {size} pixels. "
                        f"{words.human(variant.parameters)} parameters, {words.human(variant.macs)} MACs; "
                        f"attention: {variant.attention_parameters:,} parameters. {origin(variant)}"
                    )
                    if variant.load is not None and variant.load.weights != "shipped":
                        with st.expander("What was loaded", icon=":material/inventory_2:"):
                            st.markdown(loaded(variant.load))


def origin(variant: VariantSummary) -> str:
    """Where a variant's weights come from."""
    card = variant.card
    return f"Trained on {card.data.rstrip('.')}; it knows {len(card.labels)} classes." if card else ""


def loaded(load: LoadReport) -> str:
    """What became of a checkpoint's tensors, as a list in Markdown; nothing is left out."""
    lines = [f"{load.loaded:,} tensors from `{load.file}`."]
    lines += [f"{one.count:,} are called `{one.found}` there and `{one.ours}` here" for one in load.renamed]
    for what, tensors in (("Not in the file", load.missing), ("In the file and without a place", load.unexpected)):
        if tensors:
            lines.append(f"{what}: {', '.join(f'`{name}`' for name in tensors)}")
    for module in load.fresh:
        effect = "exactly the identity" if module.identity else "on a map that does not vary"
        if module.kept is not None and not module.identity:
            effect = f"leaves {module.kept:.0%} of the spread of what arrives"
        lines.append(f"Fresh attention at `{module.slot}`: {effect}")
    return "\n".join(f"- {line}" for line in (*lines, *load.notes))


def badge(variant: VariantSummary) -> str:
    """What is known of the weights, in a word."""
    if variant.state == "fresh attention":
        return ":orange-badge[trained, with fresh attention]"
    if not variant.trained:
        return ":red-badge[untrained]"
    return f":green-badge[test accuracy {variant.card.test_accuracy:.1%}]" if variant.card else ":green-badge[trained]"


def gates(report: Comparison, image: Image) -> None:
    """Layers x channels, one layer as lines, all layers in numbers."""
    st.subheader("Channel weights, layer by layer")
    ordered = st.segmented_control("Channels", ORDERS, default=ORDERS[0], key="order") == ORDERS[1]
    maps = charts.channel_maps(report, image.id, ordered)
    if not maps:
        st.info("None of these networks has channel attention. Add one with `se` or `eca` to see its weights.")
        return
    for (name, chart), column in zip(maps.items(), (st.columns(2) * len(maps))[: len(maps)], strict=True):
        column.markdown(f"**{name}**")
        column.altair_chart(chart, width="stretch")
    st.caption(
        f"Rows are layers, named stage.block, input at the top. {_scales(report)} Look for layers that differ from "
        "their neighbours, and for rows of one colour: there the module treats all channels alike."
    )
    left, right = st.columns([1, 5], vertical_alignment="center")
    layers = words.channel_gates(report, image.id)
    layer = left.selectbox("Layer (stage.block)", layers, index=len(layers) - 1)
    left.caption(
        "One line a network. Where lines cross, the networks disagree on which channels matter; "
        "a flat line is attention that does not choose."
    )
    if (lines := charts.channel_lines(report, image.id, layer, ordered)) is not None:
        right.altair_chart(lines, width="stretch")

    st.subheader("Statistics of every gate")
    left, right = st.columns([2, 3], gap="medium")
    if (curve := charts.depth(report, image.id)) is not None:
        left.altair_chart(curve, width="stretch")
    left.caption("Look for where the band is wide: there the module tells channels (or places) apart.")
    with right.container(height=420):
        st.table(tables.statistics_text(report, image.id), hide_index=True)


def _scales(report: Comparison) -> str:
    """What pale means in the pictures of channels, which have a colour scale for each kind of gate."""
    pale = {
        0.5: "blue channels are held back, orange ones let through, pale ones sit at 0.5, where most modules start.",
        1.0: "pale is 1, which lets a channel through as it is; blue weakens it, orange strengthens it.",
        0.0: "this is added to the channel and not multiplied: pale adds nothing, blue lowers, orange raises.",
    }
    drawn = {
        name: charts.centre(report, variant)
        for variant, name in words.called(report).items()
        if any(one.variant == variant and any(g.kind == "channel" for g in one.gates) for one in report.predictions)
    }
    if len(set(drawn.values())) == 1:
        return f"All pictures share one colour scale: {pale[next(iter(drawn.values()))]}"
    named = {middle: ", ".join(name for name, one in drawn.items() if one == middle) for middle in drawn.values()}
    return " ".join(f"**{names}**: {pale[middle]}" for middle, names in named.items())


def downloads(report: Comparison) -> None:
    """The numbers behind the pictures."""
    with st.container(horizontal=True):
        for label, data, file in (
            ("Statistics (CSV)", tables.statistics_csv(report), "statistics.csv"),
            ("Channel weights (CSV)", tables.weights_csv(report), "weights.csv"),
            ("Whole report (JSON)", report.model_dump_json(indent=1), "comparison.json"),
        ):
            st.download_button(label, data, file, on_click="ignore", icon=":material/download:")
    st.caption(
        f"Computed on {report.device} in {report.dtype}; channel weights travel as 16-bit floats. "
        "The address of this page is a link to what it shows."
    )
