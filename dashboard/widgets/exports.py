"""Networks to take away: a job writes one as ONNX, torch.export or safetensors, and its file is saved from here."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

import streamlit as st

from attention.reports.export import ExportReport, ExportRequest, Format
from attention.schemas import Job
from attention.spec import Variant
from dashboard import connect
from dashboard.drawing import words
from dashboard.language import say, show_caption
from dashboard.refusals import explained
from dashboard.widgets import jobs, linked

MOST_BYTES = 200_000_000
"""A larger file does not go through the page's memory; it is fetched from the API."""


def offer(variants: Sequence[Variant]) -> None:
    """Let one of some networks be written as a file; a job that was asked for before is found again."""
    if not linked.switch(st.toggle, say("Take a network away as a file"), "export"):
        return
    names = words.labels([variant.name for variant in variants])
    left, right = st.columns(2)
    name = left.selectbox(say("Network"), list(names), format_func=names.__getitem__, key="export.network")
    form = right.segmented_control(say("Format"), get_args(Format), default="onnx", key="export.format", required=True)
    request = ExportRequest(variant=Variant.parse(name), format=form)
    job = jobs.newest_of(request)
    if job is not None:
        show(job)
    if (job is None or job.state in ("failed", "cancelled")) and st.button(
        say("Write the file"), icon=":material/file_export:", key="export.start"
    ):
        connect.client().submit(request)
        st.rerun()


def show(job: Job) -> None:
    """How far a job of export is, why it failed, or its file with how closely it answers as torch does."""
    if not job.ended:
        jobs.follow(job, lambda now: None, key=f"cancel.{job.id}")
        return
    if job.error:
        st.error(explained(job.error), icon=":material/error:")
    if job.state != "done":
        return
    report = connect.report(job.id, ExportReport)
    card, size = report.card, report.file.bytes or 0
    assert card is not None  # of every job that is done
    free = [say(name) for name, yes in ((say("batch"), card.free_batch), (say("size"), card.free_size)) if yes]
    show_caption(
        "Free: %(free)s. In %(runtime)s its outputs differ by at most %(difference)s from those of "
        "torch %(torch)s, whose largest is %(largest)s.",
        free=", ".join(free) or say("nothing"),
        runtime=card.runtime,
        difference=f"{card.largest_difference:.1e}",
        torch=card.torch,
        largest=f"{max(check.largest_output for check in card.checks):.2g}",
    )
    if size > MOST_BYTES:
        key = '-H "Authorization: Bearer $ATTENTION_API_KEY" ' if connect.has_key() else ""
        st.code(f"curl -OJ {key}{str(connect.client().http.base_url).rstrip('/')}{job.links.file}", language="bash")
        return
    st.download_button(
        f"{report.file.name} ({words.human(size, 'B')})",
        lambda: _fetched(job.id),
        report.file.name,
        on_click="ignore",
        icon=":material/download:",
        key=f"export.{job.id}",
    )


def _fetched(job_id: str) -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        connect.client().save_file(job_id, path)
        return path.read_bytes()
