"""What networks answer: the first class of each beside its accuracy, and every class on one axis."""

from collections.abc import Mapping, Sequence
from html import escape

import altair as alt
import pandas as pd
import streamlit as st

from attention.reports.compare import ClassScore, Comparison, PhotoFit
from attention.reports.seen import SeenRequest
from attention.schemas import Image
from dashboard import connect
from dashboard.drawing import draw as drawing
from dashboard.drawing import theme, words
from dashboard.drawing.marks import Chart
from dashboard.drawing.words import about
from dashboard.language import listed, say
from dashboard.views.look import surety
from dashboard.widgets import gallery, photos

CLASSES = 5
"""Classes that the picture shows, those that any network finds most probable."""
ROW = 34


def show(report: Comparison, image: Image, fit: PhotoFit | None) -> None:
    """Photo and input at the left, answers at the right."""
    left, right = st.columns([2, 3], gap="medium")
    with left:
        _photo(report, image, fit)
        _known(report, image)
    with right:
        st.html(table(report, image))
        drawing.plot(dots(report, image.id), described(report, image))


def _photo(report: Comparison, image: Image, fit: PhotoFit | None) -> None:
    request = SeenRequest(image=image.id, variants=tuple(variant.variant for variant in report.variants[:1]), fit=fit)
    (picture,) = connect.ask(request).pictures
    size = picture.preprocess.size
    title = photos.title(image)
    caption = say("what the networks see: %(size)s × %(size)s", size=size)
    st.html(
        f'<div class="lab-pair"><figure><img src="{gallery.source(image, 480)}" alt="{escape(title)}">'
        f"<figcaption>{escape(title)}, {image.width} × {image.height}</figcaption></figure>"
        f'<figure><img class="lab-pixels" src="data:image/png;base64,{picture.png_base64}" alt="{escape(caption)}">'
        f"<figcaption>{escape(caption)}</figcaption></figure></div>"
    )


def _known(report: Comparison, image: Image) -> None:
    """The classes that the networks tell apart, with the true one framed, or that it is none of them."""
    class_names = labels(report)
    if not class_names:
        return
    if image.label is not None and image.label not in class_names:
        st.info(
            say(
                "These networks know %(count)s things, and this photo shows none of them. Read their answers as “most "
                "like”.",
                count=len(class_names),
            ),
            icon=":material/help:",
        )
    words = "".join(
        f'<span class="lab-word{" lab-true" if word == image.label else ""}">{escape(say(word))}</span>'
        for word in class_names[:40]
    )
    st.html(f'<div class="lab-words">{escape(say("They know:"))} {words}</div>')
    knowing = [variant.variant for variant in report.variants if variant.card and variant.card.labels == class_names]
    surety.show(image, class_names, knowing)


def labels(report: Comparison) -> tuple[str, ...]:
    """The classes of the trained networks, in the order of the first that names them."""
    return next((variant.card.labels for variant in report.variants if variant.card and variant.card.labels), ())


def table(report: Comparison, image: Image) -> str:
    """Network, answer, whether it is right where that is known, and how often it is right on its test set."""
    called = words.labels([variant.name for variant in report.variants])
    rows, class_names = [], labels(report)
    for variant, prediction in zip(report.variants, about(report, image.id), strict=True):
        first = prediction.top[0]
        answer = escape(_name(first, class_names))
        right = ""
        if variant.card and variant.trained and image.label in variant.card.labels:
            right = "✓" if first.label == image.label else "✗"
        accuracy = f"{variant.card.test_accuracy:.1%}" if variant.card and variant.state == "trained" else ""
        if variant.state == "untrained":
            accuracy = escape(say("untrained: random weights"))
        elif variant.state == "fresh attention":
            accuracy = escape(say("trained, with fresh attention"))
        rows.append(
            f'<tr><th scope="row"><span style="color:{theme.hue(variant.name)}" aria-hidden="true">'
            f"{theme.sign(variant.name)}</span> {escape(called[variant.name])}</th>"
            f"<td><b>{answer}</b> {first.probability:.0%} {right}</td><td>{accuracy}</td></tr>"
        )
    head = "".join(f'<th scope="col">{escape(word)}</th>' for word in ("", say("answer"), say("right on its test set")))
    return f'<table class="lab-table"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'


def dots(report: Comparison, image: str) -> Chart:
    """Classes down, probability across, one mark a network; a line from the smallest to the largest."""
    called = words.labels([variant.name for variant in report.variants])
    trained = {variant.name: variant.trained for variant in report.variants}
    shares = probabilities(report, image)
    order = sorted(shares, key=lambda name: (-_largest(shares[name], trained), name))[:CLASSES]
    frame = pd.DataFrame(
        [
            {
                "class": name,
                "probability": share,
                "network": called[network],
                "trained": trained[network],
            }
            for name in order
            for network, share in shares[name].items()
        ]
    )
    names = [variant.name for variant in report.variants]
    base = alt.Chart(frame).encode(
        y=alt.Y("class:N", sort=order, title=None, axis=theme.named_axis(labelFontSize=13)),
        x=theme.percent_axis(say("probability"), shorthand="probability:Q"),
    )
    lines = base.mark_rule(color=theme.faint(), strokeWidth=2).encode(
        x=theme.percent_axis(say("probability"), shorthand="min(probability):Q"), x2="max(probability):Q"
    )
    marks = base.mark_point(size=120, opacity=0.95, strokeWidth=2).encode(
        color=alt.Color("network:N", scale=theme.colours(names, called.values()), legend=None),
        fill=alt.condition(
            "datum.trained",
            alt.Fill("network:N", scale=theme.colours(names, called.values()), legend=None),
            alt.value("transparent"),
        ),
        shape=alt.Shape("network:N", scale=theme.shapes(names, called.values()), legend=None),
        tooltip=[
            alt.Tooltip("network:N", title=say("network")),
            alt.Tooltip("class:N", title=say("class")),
            alt.Tooltip("probability:Q", format=".1%", title=say("probability")),
        ],
    )
    return alt.layer(lines, marks).properties(height=ROW * len(order) + 60)


def probabilities(report: Comparison, image: str) -> dict[str, dict[str, float]]:
    """Class -> network -> probability, for every class that a prediction names."""
    shares, class_names = dict[str, dict[str, float]](), labels(report)
    for prediction in about(report, image):
        for score in prediction.top:
            shares.setdefault(_name(score, class_names), {})[prediction.variant] = score.probability
    return shares


def _largest(shares: Mapping[str, float], trained: Mapping[str, bool]) -> float:
    """The largest probability of a class; random weights have a say only where there is nothing else."""
    return max((share for name, share in shares.items() if trained[name]), default=max(shares.values()) - 1)


def _name(score: ClassScore, class_names: Sequence[str] = ()) -> str:
    """What a class is called; random weights of as many classes are read by the names of the trained ones."""
    label = score.label or (class_names[score.index] if score.index < len(class_names) else None)
    return say(label) if label else say("class %(index)s", index=score.index)


def described(report: Comparison, image: Image) -> str:
    """The picture of the answers in a sentence."""
    called = words.labels([variant.name for variant in report.variants])
    answers = listed(
        say(
            "%(name)s: %(text)s",
            name=called[prediction.variant],
            text=f"{_name(prediction.top[0])} {prediction.top[0].probability:.0%}",
        )
        for prediction in about(report, image.id)
    )
    return say("Probability of each class by network, 0 to 100 %%. First answers: %(answers)s.", answers=answers)


def warned(report: Comparison) -> Mapping[str, list[str]]:
    """What to know before reading, each sentence with the networks it is about."""
    called = words.labels([variant.name for variant in report.variants])
    warnings: dict[str, list[str]] = {}
    for variant in report.variants:
        if variant.warning and variant.state != "untrained":
            warnings.setdefault(variant.warning, []).append(called[variant.name])
    return warnings
