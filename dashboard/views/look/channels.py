"""One layer opened: the map that each channel gate weighs, and what a chosen channel responds to."""

import math
from collections.abc import Mapping, Sequence
from html import escape

import streamlit as st

from attention.client import ServiceError, Unreachable
from attention.reports.compare import Comparison, PhotoFit, VariantSummary
from attention.reports.exemplars import Exemplar, ExemplarsReport, ExemplarsRequest
from attention.reports.maps import ChannelMap, MapsReport, MapsRequest
from attention.reports.seen import SeenRequest
from attention.schemas import Image
from attention.spec import Pictures
from dashboard import connect
from dashboard.drawing import draw as drawing
from dashboard.drawing import theme
from dashboard.drawing.marks import Row
from dashboard.language import say, show_caption
from dashboard.refusals import explained
from dashboard.service_sentences import with_minus
from dashboard.widgets import gallery, jobs, linked

CHANNEL = "channel"
"""In the address: the chosen channel, as the network's name and the channel's number."""
READ = 200
"""Images of a data set that are read at most, evenly from its classes."""
AT_ONCE = 4_000_000
"""Input pixels that a service reads within about two seconds; for more there is a job with its progress."""


def show(
    report: Comparison, image: Image, rows: Sequence[Row], called: Mapping[str, str], fit: PhotoFit | None
) -> None:
    """The maps of a layer, a row a network, and the chosen channel below them."""
    linked.start(CHANNEL, "", lambda texts: texts[0])
    answers = {row.variant: connect.ask(_question(report, image, row, fit)) for row in rows}
    name, _, number = st.session_state[CHANNEL].rpartition("~")
    chosen = next((row for row in rows if row.variant == name and number.isdecimal()), None)
    for row in rows:
        _maps(row, answers[row.variant], called[row.variant], number if row is chosen else "")
    linked.write(CHANNEL, [st.session_state[CHANNEL]] if chosen else [])
    if chosen is not None:
        _channel(_summary(report, chosen), image, chosen, answers[name], int(number), called[name], fit)


def _question(report: Comparison, image: Image, row: Row, fit: PhotoFit | None) -> MapsRequest:
    return MapsRequest(image=image.id, variant=_summary(report, row).variant, gate=row.gate.path, fit=fit)


def _summary(report: Comparison, row: Row) -> VariantSummary:
    return next(variant for variant in report.variants if variant.name == row.variant)


def _maps(row: Row, answer: MapsReport, name: str, chosen: str) -> None:
    """The maps that arrive at a gate, from most open to most closed, each dimmed by its weight."""
    hue, cut, key = theme.hue(row.variant), answer.channels > len(answer.maps), f"maps.{row.variant}"
    pictures = [
        gallery.Picture(
            id=str(drawn.channel),
            title=say(
                "Map of channel %(channel)s, weight %(weight)s", channel=drawn.channel, weight=f"{_weight(drawn):.2f}"
            ),
            src=f"data:image/png;base64,{drawn.png_base64}",
            caption=f"{say('ch. %(channel)s', channel=drawn.channel)} · {_weight(drawn):.2f}",
            shade=0.18 + 0.82 * min(abs(_weight(drawn)), 1.0),
            frame=hue,
            after_gap=cut and place == len(answer.maps) // 2,
        )
        for place, drawn in enumerate(answer.maps)
    ]

    def choose() -> None:
        st.session_state[CHANNEL] = f"{row.variant}~{st.session_state[key]['chosen']}"

    left, right = st.columns([1, 8], gap="small", vertical_alignment="center")
    left.html(
        f'<div class="lab-head"><span style="color:{hue}" aria-hidden="true">{theme.sign(row.variant)}</span> '
        f"<b>{escape(name)}</b><br><small>{escape(say('most open → most closed'))}</small></div>"
    )
    with right:
        gallery.row(pictures, chosen, say("Maps of %(network)s", network=name), key, choose)


def _weight(drawn: ChannelMap) -> float:
    return 0.0 if drawn.weight is None else drawn.weight


def _channel(
    network: VariantSummary, image: Image, row: Row, answer: MapsReport, number: int, name: str, fit: PhotoFit | None
) -> None:
    """What one channel sees: its map over this photo, and the images of a data set at both ends of its gate."""
    if number >= answer.channels:
        return
    drawn = next((drawn for drawn in answer.maps if drawn.channel == number), None)
    if drawn is None:
        request = MapsRequest(image=image.id, variant=network.variant, gate=row.gate.path, channels=(number,), fit=fit)
        (drawn,) = connect.ask(request).maps
    with st.container(border=True, key="channel-seen"):
        title = say(
            "What a channel sees: %(network)s, layer %(layer)s, channel %(channel)s",
            network=name,
            layer=row.layer,
            channel=number,
        )
        st.markdown(f"**{title}**")
        left, right = st.columns([2, 5], gap="medium")
        with left:
            _over_photo(network, image, drawn, fit)
            weighed = drawn.mean * _weight(drawn) if row.gate.neutral == 1 else None
            text = say("mean %(mean)s, weight %(weight)s", mean=_number(drawn.mean), weight=f"{_weight(drawn):.3f}")
            after = "" if weighed is None else say(", mean after the gate %(mean)s", mean=_number(weighed))
            st.caption(text + after)
        with right:
            _data_set(network, row, number)


def _number(value: float) -> str:
    return with_minus(f"{value:.3f}")


def _over_photo(network: VariantSummary, image: Image, drawn: ChannelMap, fit: PhotoFit | None) -> None:
    """The channel's map as brightness of what the network saw, 0.18 where it is smallest and 1 where it is largest."""
    (network_input,) = connect.ask(SeenRequest(image=image.id, variants=(network.variant,), fit=fit)).pictures
    text = say("Map of channel %(channel)s over the photo, bright where it is largest", channel=drawn.channel)
    ends = with_minus(f"{drawn.low:.2g} … {drawn.high:.2g}")
    st.html(
        f'<figure class="lab-over"><div role="img" aria-label="{escape(text)}">'
        f'<img src="data:image/png;base64,{network_input.png_base64}" alt="">'
        f'<img src="data:image/png;base64,{drawn.png_base64}" alt=""></div>'
        f"<figcaption>{ends}</figcaption></figure>"
    )


def _data_set(network: VariantSummary, row: Row, number: int) -> None:
    """The images of a data set that open and close a channel most; the data set is read once for all channels."""
    stored = {data.name: say(data.name) for data in connect.client().datasets()}
    if not stored:
        st.info(say("There is no data set whose images could be compared."))
        return
    name = linked.choice(st.selectbox, say("Images of"), stored, "data", next(iter(stored)))
    request = ExemplarsRequest(variant=network.variant, pictures=Pictures(data=name, limit=READ))
    many = READ * math.prod(network.preprocess.height_and_width) > AT_ONCE
    try:
        jobs.answered(
            request, many, say("Reading the data set"), lambda report, end: _ends(report, row, number, stored[name])
        )
    except Unreachable:
        raise
    except ServiceError as error:
        st.info(explained(error))


def _ends(report: ExemplarsReport, row: Row, number: int, data: str) -> None:
    """Draw the images at both ends of a channel."""
    gate = next(gate for gate in report.gates if gate.path == row.gate.path)
    ends = gate.ends[number]
    st.html(_images(report, say("open it most"), ends.open) + _images(report, say("close it most"), ends.closed))
    show_caption(
        "Of %(images)s test images of %(data)s; below each the gate's value on it.",
        images=f"{report.seen:,}",
        data=data,
    )
    drawing.caveats(report.caveats)


def _images(report: ExemplarsReport, title: str, exemplars: Sequence[Exemplar]) -> str:
    """Images of one end in a row, the gate's value below each."""
    image_of = {image.name: image for image in report.images}
    figures = []
    for exemplar in exemplars:
        shown_image = image_of[exemplar.image]
        label = say(shown_image.label) if shown_image.label else shown_image.name
        figures.append(
            f'<figure><img src="data:image/jpeg;base64,{shown_image.thumbnail}" alt="{escape(label)}">'
            f"<figcaption><b>{exemplar.weight:.3f}</b> {escape(label)}</figcaption></figure>"
        )
    head = f'<div class="lab-head"><small>{escape(title)}</small></div>'
    return f'<div class="lab-maps lab-ends">{head}{"".join(figures)}</div>'
