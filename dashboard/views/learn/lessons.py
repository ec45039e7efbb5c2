"""Lessons 1 to 6 of the Learn page, one function each: words, and pictures of what the API answers."""

import pandas as pd
import streamlit as st

from attention.reports.modules import (
    Interaction,
    InteractionRequest,
    KernelRequest,
    PlacesRequest,
    PublishedGroup,
    PublishedRequest,
)
from dashboard import connect
from dashboard.drawing import draw as drawing
from dashboard.drawing import theme, words
from dashboard.language import listed, say, show_caption, show_text
from dashboard.service_sentences import translated
from dashboard.views.learn import charts as lesson_charts
from dashboard.views.learn.lesson0 import ECA

WIDTHS, REDUCTIONS, SIZES = (16, 32, 64), (2, 4, 8, 16, 32), (1, 3, 5, 7, 9, 15)
FIRST_PAIR = ("eca_resnet50", "timm_resnet33ts")


def operator() -> None:
    """ECA's operator is a 1-D convolution across channels; a 1x1 convolution would be something else."""
    show_text(
        "Tutorials call ECA's operator a “1×1 convolution”. It is not one. It is a **1-D convolution with a "
        "kernel of k along the channel axis**. Gate c sees channel c and its (k − 1) / 2 neighbours on each side. "
        "All channels share the same k weights. A 1×1 convolution on the pooled features would let every gate see "
        "every channel, and cost C² weights."
    )
    eca, full, per_channel = connect.ask(
        InteractionRequest(modules=("eca", "se_var3", "se_var2"), channels=12, kernel_size=3)
    ).interactions
    titles = (
        (eca, say("ECA: a 1-D convolution, k = 3")),
        (full, say("A 1×1 convolution (SE-Var3)")),
        (per_channel, say("Each channel for itself (SE-Var2)")),
    )
    for (interaction, title), column in zip(titles, st.columns(3), strict=True):
        column.markdown(f"**{title}**")
        with column:
            drawing.plot(lesson_charts.links(interaction))
        column.caption(say("%(parameters)s parameters for 12 channels.", parameters=interaction.parameters))
    show_caption(
        "Look at the orange lines: they lead to one gate from the pooled features that it listens "
        "to. Drawn from the modules themselves: a line stands where the gate's derivative is not 0. "
        "Source of both controls: [ECA paper](%(eca)s), Table 2.",
        eca=ECA,
    )


def kernel() -> None:
    """The adaptive kernel size, with its two constants to play with."""
    st.latex(r"k = \left|\,\frac{\log_2 C + b}{\gamma}\,\right|_{\text{odd}}")
    show_text(
        "The wider the layer, the longer the filter. The fraction is cut to an integer, and an even number goes "
        "up to the next odd one. The paper sets γ = 2 and b = 1. The authors' released networks do not use the "
        "formula: their k was set by hand."
    )
    left, right = st.columns([2, 5], gap="large")
    gamma = left.slider(say("γ, divisor"), 1.0, 4.0, 2.0, 0.25, key="gamma")
    b = left.slider(say("b, offset"), -3.0, 5.0, 1.0, 0.5, key="b")
    report, paper = connect.ask(KernelRequest(gamma=gamma, b=b)), connect.ask(KernelRequest())
    with right:
        drawing.plot(lesson_charts.staircase(report, paper))
    right.caption(
        say(
            "Look for orange dots: there a released network departs from the formula, up or down. One "
            "dot may stand for several networks; point at it. Sources: [formula](%(eca)s), [released "
            "weights](%(source)s).",
            eca=ECA,
            source=report.source,
        )
    )
    left.markdown(say("**All of ECA's parameters**"))
    left.table(
        {
            say("network"): list(words.backbones([total.backbone for total in report.totals]).values()),
            say("formula"): [total.formula for total in report.totals],
            say("released"): [total.released for total in report.totals],
        },
        hide_index=True,
    )


def interaction() -> None:
    """ECA's band beside SE's low rank."""
    show_text(
        "Change one pooled feature a little and see which gates move. That is a matrix: row c, column j is the "
        "change of gate c per change of feature j. It shows what a module *can* express, before any training."
    )
    one, two, three = st.columns(3)
    channels = one.select_slider(say("C, channels"), WIDTHS, 64, key="channels")
    reduction = two.select_slider(say("r, SE's reduction"), REDUCTIONS, 16, key="reduction")
    size = three.select_slider(
        say("k, ECA's kernel size"),
        ("formula", *SIZES),
        "formula",
        key="kernel_size",
        format_func=lambda k: say(str(k)),
    )
    kernel_size = size if isinstance(size, int) else None
    report = connect.ask(InteractionRequest(channels=channels, reduction=reduction, kernel_size=kernel_size))
    for entry, column in zip(report.interactions, st.columns(2, gap="large"), strict=True):
        column.markdown(
            say(
                "**%(upper)s**, %(parameters)s parameters",
                upper=theme.called(entry.module),
                parameters=f"{entry.parameters:,}",
            )
        )
        with column:
            drawing.plot(lesson_charts.heat(entry))
        column.markdown(_reading(entry, channels))
    show_caption(
        "Look at the shape of the coloured part. ECA's rows are one pattern, shifted: a *banded "
        "Toeplitz* matrix, scaled row by row by the sigmoid's slope, and cut off at both ends, where "
        "the filter sees zeros. SE's rows are mixtures of a few. %(conditions)s",
        conditions=translated(report.conditions),
    )


def _reading(entry: Interaction, channels: int) -> str:
    """The matrix in one or two sentences."""
    if entry.narrowest < channels:
        return say(
            "A gate hears %(share)s of the channels, but only through **%(narrowest)s numbers**. The "
            "rank is %(rank)s of %(channels)s, and no training lifts it above %(narrowest_2)s: two "
            "images with the same %(narrowest_3)s numbers get the same gates.",
            share=f"{entry.share:.0%}",
            narrowest=entry.narrowest,
            rank=entry.rank,
            channels=channels,
            narrowest_2=entry.narrowest,
            narrowest_3=entry.narrowest,
        )
    return say(
        "A gate hears channels up to a **distance of %(reach)s**, %(share)s of all pairs. Nothing is "
        "squeezed: the rank is %(rank)s of %(channels)s. But a channel far away is not heard, so the "
        "order of channels matters.",
        reach=entry.reach,
        share=f"{entry.share:.1%}",
        rank=entry.rank,
        channels=channels,
    )


def places() -> None:
    """In the backbone, at its end, in multi-scale branches."""
    show_text(
        "The same module can sit **in the backbone** (in every block), **at its end** (one, on the last map), or "
        "**in the branches** of a network that looks at several scales at once. What it can change differs: in "
        "the backbone it shapes the features; at the end it only weighs them."
    )
    drawn = connect.ask(PlacesRequest()).variants
    titles = (say("In the backbone"), say("At the end of the backbone"), say("In multi-scale branches"))
    for title, network in zip(titles, drawn, strict=True):
        filled = [place for place in network.places if place.filled]
        count = say(
            "modules: %(modules)s, parameters: %(parameters)s",
            modules=len(filled),
            parameters=sum(place.parameters for place in filled),
        )
        st.markdown(f"**{title}** · {words.network_label(network.name)} · {count}")
        drawing.plot(lesson_charts.places(network))
    show_caption(
        "Look for the orange bars: each is one ECA module, as high as the map it gates. Maps shrink while channels "
        "grow, so k grows to the right (5, 5, 5, 7). The blue bars are the levels of a feature pyramid, each fed "
        "by the stage that its dashed line comes from. Drawn from the networks of this service: type any of the "
        "names into Price or Look."
    )


def results() -> None:
    """Cost against accuracy, as published."""
    show_text(
        "ECA adds far fewer parameters than SE. Does it give up accuracy for that? It depends on whom you ask, "
        "and on whether the networks were **trained in the same way**."
    )
    titles = connect.ask(PublishedRequest(groups=FIRST_PAIR)).titles
    keys = list(titles)
    chosen = [
        column.selectbox(
            say("First results") if side == "left" else say("Second results"),
            keys,
            keys.index(key),
            format_func=lambda key: translated(titles[key]),
            key=f"results.{side}",
        )
        for side, key, column in zip(("left", "right"), FIRST_PAIR, st.columns(2, gap="large"), strict=True)
    ]
    with st.spinner(say("Counting …")):
        groups_by_key = {group.key: group for group in connect.ask(PublishedRequest(groups=tuple(chosen))).groups}
    groups = [groups_by_key[key] for key in chosen]
    for group, chart, column in zip(groups, lesson_charts.published(groups), st.columns(2, gap="large"), strict=True):
        with column:
            _group(group)
            drawing.plot(chart, key=f"picture.{group.key}.{chosen.index(group.key)}")
            st.dataframe(drawing.in_words(_cells(group)), hide_index=True, width="stretch")
            st.caption(_conditions(group))
    show_caption(
        "Look at the height between dots: both axes have the same length in points of accuracy. Rows from several "
        "papers say little about the modules; one run each of one recipe says more; only the same recipe with "
        "several seeds would decide."
    )


def _group(group: PublishedGroup) -> None:
    mark = say(":green-badge[one recipe]") if group.same_recipe else say(":orange-badge[not one recipe]")
    st.markdown(f"**{translated(group.title)}** {mark}")
    if group.warning:
        (st.info if group.same_recipe else st.warning)(translated(group.warning), icon=":material/balance:")


def _cells(group: PublishedGroup) -> pd.DataFrame:
    """Each figure with the cell of the table that it stands in."""
    return pd.DataFrame(
        [
            {
                "network": result.name,
                translated(group.metric): f"{result.score:.2f}",
                "added parameters": "" if result.added_parameters is None else f"{result.added_parameters:+,}",
                "where": listed((translated(group.table), result.cell)),
                "conditions": result.conditions,
            }
            for result in group.results
        ]
    )


def _conditions(group: PublishedGroup) -> str:
    """How the results of a group came about."""
    metric = translated(group.metric)
    return say(
        "%(recipe)s %(upper)s%(metric)s, at %(input_size)s pixels, one run each. Parameters counted "
        "here. Source: [%(source)s](%(link)s), %(table)s.",
        recipe=translated(group.recipe),
        upper=metric[0].upper(),
        metric=metric[1:],
        input_size=group.input_size,
        source=translated(group.source),
        link=group.link,
        table=translated(group.table),
    )


def starts() -> None:
    """What a fresh module does to a network that is trained already."""
    modules = connect.catalog().modules
    show_text(
        "A new module has not learned anything, but it multiplies all the same. A sigmoid of something near 0 is "
        "0.5, so a fresh SE or ECA **halves** the residual branch of every block it is put into. CBAM and CA have "
        "two gates and quarter it. Only modules that start as the identity leave a trained network as it was."
    )
    left, right = st.columns([3, 2], gap="large")
    with left:
        drawing.plot(lesson_charts.starts(modules))
    left.caption(
        say(
            "Look for bars that end at the dashed line: those modules keep the scale. Measured on a map of standard "
            "normal noise, 64 channels of 8 × 8, each module fresh and with its defaults."
        )
    )
    names = [module.name for module in modules]
    picked = right.selectbox(say("A module"), names, format_func=theme.called, key="module")
    module = next((module for module in modules if module.name == picked), modules[0])
    right.markdown(f"**{translated(module.title)}**")
    right.markdown(translated(module.traits.start))
    for note in (module.traits.replaces, *module.traits.needs, *module.traits.warnings):
        if note and note != module.traits.start:
            right.markdown(f":material/info: {translated(note)}")
    right.caption(
        say(
            "Gates: %(words)s. %(parameters)s parameters at 64 channels. ",
            words=listed(dict.fromkeys(say(words.GATES[kind]) for kind in module.gates)),
            parameters=f"{module.traits.parameters:,}",
        )
        + " · ".join(f"[{paper.removeprefix('https://')}]({paper})" for paper in module.papers)
    )
    with right.expander(say("What its file says")):
        st.text(module.doc)
