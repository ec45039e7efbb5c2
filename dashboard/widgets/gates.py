"""Which network's gates a page is about, and on how many images of a data set."""

import streamlit as st

from attention.reports.diagnose import DiagnoseRequest
from attention.reports.fold import FoldRequest
from attention.reports.parts.catalog import Catalog
from attention.reports.sweep import SweepRequest
from attention.schemas import DataSet
from attention.spec import Pictures, Variant
from dashboard import connect
from dashboard.drawing import words
from dashboard.language import marked, say
from dashboard.widgets import data_sets, forms, linked

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
    own_networks = [f"{entry.name}/none" for entry in catalog.own_models if entry.gates]
    variant = forms.network(catalog, [first, *shipped, *own_networks], key)
    if variant is not None and variant.attention is None and not OF_OTHERS & variant.backbone_options.keys():
        st.error(
            say(
                "%(name)s has no attention, so there is nothing to replace. Choose one with a module.",
                name=variant.name,
            )
        )
        return None
    return variant


def network_and_images() -> tuple[Variant, Pictures] | None:
    """One network with attention, and images of a data set; None until both are chosen."""
    variant, data = network(connect.catalog()), data_sets.data_set()
    return None if variant is None or data is None else (variant, Pictures(data=data.name, limit=images(data)))


def described(request: DiagnoseRequest | FoldRequest | SweepRequest) -> str:
    """A question about one network's gates on images, in a line."""
    return f"**{words.network_label(request.variant.name)}** · {request.images.data or say('photos')}"


def images(data: DataSet, start: int = 1000, why: str = PAIRED) -> int:
    """How many images of a data set are looked at. It stands in the page's address."""
    most = min(data.images or MOST, MOST)
    least, step = min(10, most), 10 if start < 1000 else 100
    about = say("Drawn evenly from the classes of the test split. %(why)s", why=say(why))
    return int(
        linked.number(st.number_input, say("Images"), least, most, "limit", min(start, most), step=step, help=about)
    )
