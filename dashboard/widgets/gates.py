"""Which network's gates a page is about, and on how many images of a data set."""

import streamlit as st

from attention.reports.catalog import Catalog
from attention.schemas import DataSet
from attention.spec import Variant
from dashboard.language import marked, say
from dashboard.widgets import forms, linked

DEFAULT = "eca"
MOST = 10_000
"""Images of a data set at most."""
OF_OTHERS = {"name", "model"}
"""Options of backbones that are whole networks of others, which may have gates of their own."""
PAIRED = marked("An interval of ±1 point takes about a thousand.")


def network(catalog: Catalog, key: str = "network") -> Variant | None:
    """One network with attention: a shipped one, or any by its short name. It stands in the page's address."""
    shipped = [entry.name for entry in catalog.shipped if entry.card.variant.attention]
    first = next((name for name in shipped if f"/{DEFAULT}?" in name), shipped[0] if shipped else DEFAULT)
    own = [f"{entry.name}/none" for entry in catalog.own_models if entry.gates]
    variant = forms.network(catalog, [first, *shipped, *own], key)
    if variant is not None and variant.attention is None and not OF_OTHERS & variant.backbone_options.keys():
        st.error(
            say(
                "%(name)s has no attention, so there is nothing to replace. Choose one with a module.",
                name=variant.name,
            )
        )
        return None
    return variant


def images(data: DataSet, start: int = 1000, why: str = PAIRED) -> int:
    """How many images of a data set are looked at. It stands in the page's address."""
    most = min(data.images or MOST, MOST)
    least, step = min(10, most), 10 if start < 1000 else 100
    about = say("Drawn evenly from the classes of the test split. %(why)s", why=say(why))
    return int(
        linked.number(st.number_input, say("Images"), least, most, "limit", min(start, most), step=step, help=about)
    )
