"""What Classes asks: which networks, and the images of which classes, or photos that stand for themselves."""

from collections.abc import Mapping
from dataclasses import dataclass

import streamlit as st

from attention.reports.parts.catalog import Catalog
from attention.schemas import DataSet, Image
from attention.spec import Pictures, Variant
from dashboard.language import marked, say
from dashboard.widgets import data_sets, forms, gates, linked, photos

PHOTOS, DATA = marked("Photos"), marked("A data set")
BESIDE = "se"
"""The module that a network is compared with unless another is chosen."""
START = 200
"""Images before anybody chooses: quick, and twenty a class of ten."""
MANY = marked("The SE paper takes 50 a class. Above 500 it becomes a job.")


@dataclass(frozen=True)
class Subjects:
    """The images that a page is about."""

    pictures: Pictures
    count: int
    """How many there are, at most."""
    called: Mapping[str, str]
    """What to call an image, by its id; empty for those of a data set."""
    photos: tuple[Image, ...]
    """The photos that were chosen; none with a data set."""


def networks(catalog: Catalog) -> tuple[Variant, ...]:
    """The network that is looked into, then those it is compared with. They stand in the page's address."""
    left, right = st.columns([1, 2], gap="medium")
    with left:
        first = gates.network(catalog)
    if first is None:
        return ()
    shipped = [Variant.parse(entry.name) for entry in catalog.shipped if entry.card.variant.attention]
    shipped.sort(key=lambda variant: variant.attention != BESIDE)
    other = [variant for variant in shipped if variant.name != first.name][:1]
    with right:
        beside = forms.variants(catalog, other, "beside", say("Compared with"))
    return tuple(dict.fromkeys([first, *beside]))


def subjects() -> Subjects | None:
    """Photos, or the images of a data set; None if there are none yet."""
    on = linked.choice(
        st.segmented_control,
        say("Look at"),
        {"photo": say(PHOTOS), "data": say(DATA)},
        "on",
        "photo",
        state="classes.on",
    )
    return _data() if on == "data" else _photos()


def _photos() -> Subjects | None:
    chosen = photos.choose(first=photos.COLUMNS)
    if not chosen:
        return None
    if len(chosen) == 1:
        left, right = st.columns([4, 1], vertical_alignment="center")
        left.info(say("One photo has nothing to differ from. Take several."), icon=":material/photo_library:")
        right.button(say("Take the samples"), on_click=photos.take_samples, width="stretch", key="samples")
    called = {image.id: f"{number}. {photos.title(image)}" for number, image in enumerate(chosen, 1)}
    return Subjects(Pictures(images=tuple(called)), len(chosen), called, chosen)


def _data() -> Subjects | None:
    data = data_sets.data_set()
    if data is None:
        return None
    left, right = st.columns([4, 1], gap="medium")
    with left:
        classes = _classes(data)
    with right:
        limit = gates.images(data, START, say(MANY))
    return Subjects(Pictures(data=data.name, classes=classes, limit=limit), limit, {}, ())


def _classes(data: DataSet) -> tuple[str, ...]:
    """Some classes of a data set; none for all. Only those whose names are known without reading it can be chosen."""
    class_names = data.classes or ()
    return linked.choices(
        st.multiselect,
        say("Classes"),
        class_names,
        "class",
        (),
        state=f"classes.{data.name}",
        placeholder=say("all") if class_names else say("all; their names are known once they are read"),
        disabled=not class_names,
    )
