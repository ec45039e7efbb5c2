"""A chart on a page, and below it the same as SVG; the toolbar over a chart saves PNG and shows the data."""

import altair
import streamlit as st

from dashboard.drawing.marks import Chart

WIDTH = 720
"""Of a saved picture whose chart takes the width of the page, pixels."""


def draw(chart: Chart, name: str, alt: str | None = None) -> None:
    """Draw a chart that can be saved.

    Args:
        name: of its file, and no other's on the page.
        alt: the picture in a sentence, for those who do not see it.
    """
    st.altair_chart(chart, width="stretch", alt=alt or name.replace("-", " "))
    st.download_button(
        "SVG",
        lambda: svg(chart),
        f"{name.replace('/', '-')}.svg",
        mime="image/svg+xml",
        on_click="ignore",
        icon=":material/download:",
        type="tertiary",
        key=f"svg.{name}",
        help="This picture as SVG. The toolbar over it saves PNG and shows its data.",
    )


def svg(chart: Chart) -> bytes:
    """A chart as a vector graphic."""
    import vl_convert  # a second of start-up that only whoever saves a picture should wait for

    with altair.data_transformers.enable("default", max_rows=None):
        spec = chart.to_dict()
    if not {"width", "facet", "hconcat", "vconcat", "concat"} & set(spec):
        spec["width"] = WIDTH
    return str(vl_convert.vegalite_to_svg(spec)).encode()
