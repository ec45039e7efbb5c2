"""Choosing photos: the sample gallery, uploads, and the ids in the page's address."""

import streamlit as st

from attention.client import ServiceError
from attention.reports.compare import CompareRequest
from attention.schemas import Image
from dashboard import connect
from dashboard.language import say
from dashboard.refusals import explained
from dashboard.service_sentences import translated
from dashboard.widgets import linked

COLUMNS = 9
LEAST_WIDTH = 64
"""Of a photo in the gallery, pixels: a phone shows five in a row."""
UPLOADS = "uploads"
"""In the session: ids of this visitor's uploads, newest first."""
# A photo is its own button: the real one lies over it, unseen, so that keyboards and screen readers find it too.
_STYLE = """<style>
.st-key-gallery [class*="st-key-photo-"] { position: relative; }
.st-key-gallery [class*="st-key-photo-"] > :has(.stButton) { position: absolute; inset: 0; z-index: 1; }
.st-key-gallery .stButton, .st-key-gallery .stButton *:not(p) { height: 100%; width: 100%; }
.st-key-gallery .stButton button { opacity: 0; cursor: pointer; min-height: 100%; }
.st-key-gallery img { aspect-ratio: 1; object-fit: cover; border-radius: 0.5rem; outline: 3px solid transparent; }
.st-key-gallery [class*="st-key-photo-"]:has(button:hover, button:focus-visible) img { outline-color: #9db7d5; }
.st-key-gallery [class*="st-key-photo-"]:has([kind="primary"]) img { outline-color: #2b6cb0; outline-offset: 2px; }
</style>"""


def choose(key: str = "image", first: int = 1) -> tuple[Image, ...]:
    """The photos to look at. Before anybody chooses, they are the first samples."""
    stored = {image.id: image for image in connect.client().images()}
    samples = [image for image in stored.values() if image.sample]
    start(stored, key, first)

    left, right = st.columns([4, 1], gap="medium")
    with right:
        upload(stored, key)
        several = st.toggle(say("Choose several photos"), value=len(st.session_state[key]) > 1, key=f"{key}.several")
    with left, st.container(key="gallery"):
        st.html(_STYLE)
        shown = [stored[id] for id in st.session_state[UPLOADS] if id in stored] + samples
        grid = st.grid(COLUMNS, min_column_width=LEAST_WIDTH)
        for image in shown:
            with grid.container(key=f"photo-{image.id}"):
                st.image(connect.picture(image, 192), width="stretch", alt=title(image))
                st.button(
                    title(image),
                    key=f"{key}.{image.id}",
                    type="primary" if image.id in st.session_state[key] else "secondary",
                    help="  \n".join(filter(None, (f"**{title(image)}**", image.credit))),
                    width="stretch",
                    on_click=_click,
                    args=(key, image.id, several),
                )
    chosen = [stored[id] for id in st.session_state[key] if id in stored]
    linked.write(key, [image.id for image in chosen])
    return tuple(chosen)


def take_samples(key: str = "image") -> None:
    """Choose the sample photos, as many as one row shows."""
    st.session_state[key] = [image.id for image in connect.client().images() if image.sample][:COLUMNS]
    st.session_state[f"{key}.several"] = True


def title(image: Image) -> str:
    """What a page calls a photo."""
    return translated(image.title) if image.title else image.name


def start(stored: dict[str, Image], key: str, first: int) -> None:
    """Put the photos that the address names into the session, or the first samples; lost ones are said."""
    lost = [id for id in linked.given(key) or () if id not in stored]
    if lost:
        st.warning(
            say(
                "The link names %(count)s photos that are not stored here, such as %(id)s.",
                count=len(lost),
                id=repr(lost[0][:80]),
            )
        )
    samples = [image.id for image in stored.values() if image.sample][:first]
    linked.start(key, samples, lambda texts: [id for id in texts if id in stored] or None)
    uploads: list[str] = st.session_state.setdefault(UPLOADS, [])
    uploads += [id for id in st.session_state[key] if id in stored and not stored[id].sample and id not in uploads]


def upload(stored: dict[str, Image], key: str) -> None:
    """An upload box. What arrives is stored once and chosen; what is refused or too much is said by name."""
    files = st.file_uploader(
        say("Your own photos"),
        accept_multiple_files=True,
        label_visibility="collapsed",
        help=say("JPEG, PNG, WebP, TIFF, … up to 20 MB each. They are stored by the API under their content's hash."),
    )
    outcomes: dict[str, Image | str] = st.session_state.setdefault("seen_uploads", {})
    fresh = [file for file in files if file.file_id not in outcomes]
    for file in fresh[: most()]:
        with st.spinner(say("Uploading %(name)s …", name=file.name)):
            try:
                outcomes[file.file_id] = connect.client().upload(file.name, file.getvalue())
            except ServiceError as error:
                outcomes[file.file_id] = say("%(name)s: %(text)s", name=file.name, text=explained(error))
    for file in fresh[most() :]:
        outcomes[file.file_id] = say(
            "%(name)s: not taken, since %(most)s at once are the most.", name=file.name, most=most()
        )
    for outcome in (outcomes[file.file_id] for file in files):
        if isinstance(outcome, str):
            st.error(outcome)
    images = [image for file in fresh if isinstance(image := outcomes[file.file_id], Image)]
    if images:
        stored.update({image.id: image for image in images})
        # A copy of a sample is that sample, which stands in the gallery already.
        image_ids = st.session_state.get(UPLOADS, [])
        new_ids = [image.id for image in images if not image.sample]
        st.session_state[UPLOADS] = list(dict.fromkeys([*new_ids, *image_ids]))
        st.session_state[key] = list(dict.fromkeys(image.id for image in images))[: most()]


def _click(key: str, id: str, several: bool) -> None:
    chosen: list[str] = st.session_state[key]
    if not several:
        st.session_state[key] = [id]
    elif id not in chosen:
        st.session_state[key] = [*chosen, id]
    elif len(chosen) > 1:
        st.session_state[key] = [other for other in chosen if other != id]


def most() -> int:
    """How many images one comparison takes."""
    limits = [getattr(rule, "max_length", None) for rule in CompareRequest.model_fields["images"].metadata]
    return min(limit for limit in limits if isinstance(limit, int))
