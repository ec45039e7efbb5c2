"""Weights that are brought to the service: published networks that it fetches, and checkpoints that are uploaded."""

import streamlit as st

from attention.client import ServiceError
from attention.reports.fetch import FetchRequest
from attention.reports.parts.catalog import PublishedChoice
from attention.spec import Variant
from dashboard import connect
from dashboard.drawing import theme
from dashboard.language import say, show_text
from dashboard.refusals import explained
from dashboard.service_sentences import translated
from dashboard.widgets import data_sets, jobs, linked

PUBLISHED = "published"
"""In the address: which published networks."""
MOST_MB = 1000
"""Of an upload; the service says its own limit if that is lower."""


def published() -> PublishedChoice | None:
    """Published networks that are chosen, ready to be asked; None while they have to be fetched first."""
    choices = {entry["name"]: PublishedChoice.model_validate(entry) for entry in connect.client().entries("weights")}
    names = {name: _called(choice) for name, choice in choices.items()}
    choice = choices[linked.choice(st.selectbox, say("Published networks"), names, PUBLISHED, next(iter(names)))]
    if choice.here:
        return choice
    with st.container(border=True):
        _fetch(choice)
    return None


def _called(choice: PublishedChoice) -> str:
    """What a choice is called: backbone and modules of a group, the published name of a single network."""
    if len(choice.networks) == 1:
        return f"{choice.name}{'' if choice.here else ' ⤓'}"
    modules = [theme.called(Variant.parse(name).attention or theme.PLAIN) for name in choice.networks]
    host = choice.networks[0].partition("/")[0]
    return f"{choice.name}: {host}, {', '.join(modules)}{'' if choice.here else ' ⤓'}"


def _fetch(choice: PublishedChoice) -> None:
    """A button that fetches networks as a job, how far it is, and why it cannot be done."""
    show_text(
        "%(count)s published networks of ImageNet, about %(megabytes)s MB, fetched once and kept.",
        count=len(choice.networks),
        megabytes=f"{choice.megabytes:.0f}",
    )
    request = FetchRequest(name=choice.name)
    job = jobs.newest_of(request)
    if job is not None and not job.ended:
        jobs.follow(job, lambda now: None, key="fetch.cancel")
        return
    if job is not None and job.error:
        st.error(explained(job.error), icon=":material/error:")
    if choice.obstacle:
        st.caption(translated(choice.obstacle))
    if st.button(say("Fetch"), icon=":material/download:", key="fetch", disabled=choice.obstacle is not None):
        connect.client().submit(request)
        st.rerun()


def upload() -> Variant | None:
    """An upload box for a checkpoint; gives the network that it fits, with its weights, once it was sent."""
    file = st.file_uploader(
        say("A checkpoint of your own"),
        type=["safetensors"],
        key="checkpoint",
        max_upload_size=MOST_MB,
        help=say("safetensors only. `attention-lab convert FILE` makes them of a .pth where it lies."),
    )
    if file is None:
        return None
    name = st.text_input(say("Name"), file.name.removesuffix(".safetensors"), key=f"checkpoint.name.{file.file_id}")
    if not st.button(say("Upload"), key="checkpoint.send", disabled=not name.strip()):
        return None
    try:
        with data_sets.sent_with_progress(file) as weights:
            checkpoint = connect.client().upload_checkpoint(name.strip(), weights)
    except ServiceError as error:
        st.error(explained(error), icon=":material/error:")
        return None
    if checkpoint.variant is None:
        st.warning(
            say(
                "`%(weights)s` is kept. It fits no network known here, so name one yourself.",
                weights=checkpoint.weights,
            ),
            icon=":material/help:",
        )
        return None
    variant = Variant.parse(checkpoint.variant).model_copy(update={"weights": checkpoint.weights})
    st.success(say("It is kept, and fits `%(name)s`.", name=variant.name), icon=":material/check:")
    return variant
