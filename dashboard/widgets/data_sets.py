"""Which data set a page is about: one of the data folder, or one that is uploaded, understood and shown before that."""

import io
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO

import streamlit as st
from streamlit.runtime.scriptrunner import add_script_run_ctx, get_script_run_ctx

from attention.client import ServiceError
from attention.reports.parts.inventory import AS_FOUND, Choices, Inventory, by_reason
from attention.schemas import DataSet, Reading
from dashboard import connect
from dashboard.language import listed, say, show_caption, show_text
from dashboard.refusals import explained
from dashboard.service_sentences import translated
from dashboard.widgets import linked

POLL_S = 0.5
"""How often the service is asked how many images it has read."""


def data_set() -> DataSet | None:
    """The data set to train on: one of the data folder, or an archive that is uploaded; None if there is none yet."""
    upload()
    stored = {data_set.name: data_set for data_set in connect.client().datasets()}
    if not stored:
        show_text(
            "**There is no data set yet.** Upload a zip with a folder of photos for each class, or put such a "
            "folder at `<data folder>/datasets/NAME`:\n```\nNAME/train/cats/1.jpg   NAME/test/cats/9.jpg     a "
            "split as you made it\nNAME/cats/1.jpg         NAME/dogs/1.jpg          or none: a fifth is kept for "
            "the test\n```\n`cifar-10-binary.tar.gz` in that folder works as it is. The data folder is "
            "`ATTENTION_DATA`, by default `~/.local/share/attention`."
        )
        return None
    labels = {name: f"{name} · {say('comes along')}" if data.shipped else name for name, data in stored.items()}
    picked = stored[linked.choice(st.selectbox, say("Data set"), labels, "data", next(iter(stored)))]
    st.caption(described(picked))
    return picked


def described(data: DataSet) -> str:
    """What a data set is, in a line."""
    phrases = [data.kind]
    if data.images is not None:
        phrases.append(say("%(images)s images", images=f"{data.images:,}"))
    if data.classes:
        phrases.append(
            say(
                "%(classes)s classes: %(words)s%(value)s",
                classes=len(data.classes),
                words=listed(map(say, data.classes[:6])),
                value=" …" if len(data.classes) > 6 else "",
            )
        )
    if data.split is False:
        phrases.append(say("no split of its own"))
    return listed(phrases) + say(".")


def upload() -> None:
    """An upload box for an archive: a sound one is kept at once, one that is not is shown and asked about."""
    with st.expander(say("Upload a data set"), icon=":material/upload:"):
        room = connect.client().dataset_list()
        file = st.file_uploader(
            say("A zip or tar with a folder for each class"),
            type=["zip", "tar", "tgz", "gz", "bz2", "xz"],
            key="zip",
            max_upload_size=max((room.max_bytes or 0) // 1_000_000, 1),
            help=say(
                "Photos in NAME/<class>/, or below train/ and test/. Larger ones go straight into the data folder."
            ),
        )
        if room.free_bytes is not None:
            most = (room.max_bytes or 0) / 1e9
            show_caption(
                "%(free_bytes)s GB are free, and an archive may have %(most)s GB.",
                free_bytes=f"{room.free_bytes / 1000000000.0:,.1f}",
                most=f"{most:,.1f}",
            )
        if file is None:
            return
        name = st.text_input(say("Name"), file.name.partition(".")[0], key=f"zip.name.{file.file_id}")
        same = re.compile(rf"{re.escape(name.strip())}(-[0-9a-f]{{8}})?")  # with keys, a name ends with its owner's id
        there = any(data.own and not data.shipped and same.fullmatch(data.name) for data in room.datasets)
        replace = there and st.toggle(say("Replace the data set of this name"), key="zip.replace")
        state_key, choices = f"zip.seen.{file.file_id}", None
        if state_key in st.session_state:
            show(st.session_state[state_key])
            choices = choose(st.session_state[state_key], f"zip.{file.file_id}")
        label = say("Upload") if choices is None else say("Keep it so")
        keep = st.button(label, type="primary", key="zip.send", disabled=not name.strip())
        if keep and not _sent(name, file, choices, state_key, replace):
            st.rerun()


class ReportedFile(io.BufferedIOBase):
    """A file that says how much of it was read, as a share from 0 to 1.

    Args:
        file: read from where it stands.
        on_read: gets the share after each read that brings it a hundredth further.
    """

    def __init__(self, file: IO[bytes], size: int, on_read: Callable[[float], object]) -> None:
        self._file, self._size, self._on_read, self._said = file, max(size, 1), on_read, -1

    def read(self, size: int | None = -1, /) -> bytes:
        """Read bytes, and report which share of the file has been read."""
        data = self._file.read(-1 if size is None else size)
        hundredth = 100 * self._file.tell() // self._size
        if hundredth != self._said:
            self._said = hundredth
            self._on_read(min(hundredth / 100, 1.0))
        return data

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move to a position in the file, bytes."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the position in the file, bytes."""
        return self._file.tell()


@contextmanager
def sent_with_progress(file: IO[bytes]) -> Iterator[IO[bytes]]:
    """A file whose way to the service is seen as a bar, which is gone when the block ends."""
    bar, context = st.progress(0.0), get_script_run_ctx()

    def show_share(share: float) -> None:
        add_script_run_ctx(threading.current_thread(), context)  # it is read in the thread that sends it
        bar.progress(share, text=say("%(percent)s %% sent", percent=round(100 * share)))

    try:
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        yield ReportedFile(file, size, show_share)  # type: ignore[misc]
    finally:
        bar.empty()


@contextmanager
def read_with_progress(name: str) -> Iterator[None]:
    """While the block waits for the service to read a data set through, show how many of its images were read."""
    service, line, ended = connect.client(), st.empty(), threading.Event()

    def look() -> None:
        while not ended.wait(POLL_S):
            with suppress(ServiceError):
                for reading in service.dataset_list().reading:
                    if reading.name == name:
                        line.caption(read_so_far(reading))

    looking = threading.Thread(target=look, daemon=True)
    add_script_run_ctx(looking, get_script_run_ctx())
    looking.start()
    try:
        yield
    finally:
        ended.set()
        looking.join()
        line.empty()


def read_so_far(reading: Reading) -> str:
    """Say how many images of a data set were read, and of how many where that is known."""
    if reading.images is None:
        return say("%(read)s images read", read=f"{reading.read:,}")
    return say("%(read)s of %(images)s images read", read=f"{reading.read:,}", images=f"{reading.images:,}")


def _sent(name: str, file: IO[bytes], choices: Choices | None, state_key: str, replace: bool) -> bool:
    """Send an archive; False if its inventory came back to be looked at, because something was guessed or is bad."""
    client = connect.client()
    try:
        with (
            sent_with_progress(file) as archive,
            st.spinner(say("Uploading, and reading it through once …")),
            read_with_progress(name),
        ):
            if choices is None or choices != st.session_state[state_key].choices:
                about = client.upload_dataset(
                    name, archive, choices or AS_FOUND, dry_run=True, replace=replace
                ).inventory
                if about is not None and (about.problems or (about.guesses and choices is None)):
                    st.session_state[state_key] = about
                    return False
                archive.seek(0)
            data = client.upload_dataset(name, archive, choices or AS_FOUND, replace=replace)
    except ServiceError as error:
        st.error(explained(error), icon=":material/error:")
    else:
        st.session_state["data"] = data.name
        st.session_state.pop(state_key, None)
        st.success(
            say("%(name)s is there: %(described)s", name=data.name, described=described(data)), icon=":material/check:"
        )
        if data.inventory is not None:
            show(data.inventory)
    return True


def show(inventory: Inventory) -> None:
    """Draw an inventory."""
    show_text(
        "%(layout)s **%(images)s images**: %(train_images)s to train on, %(validation_images)s to "
        "choose by, %(test_images)s to test on%(value)s.",
        layout=inventory.layout,
        images=f"{inventory.images:,}",
        train_images=f"{inventory.train_images:,}",
        validation_images=f"{inventory.validation_images:,}",
        test_images=f"{inventory.test_images:,}",
        value=say(" (a split made by hash)") if inventory.split_by_hash else "",
    )
    for problem in inventory.problems:
        st.error(problem, icon=":material/error:")
    for guess in inventory.guesses:
        st.warning(translated(guess), icon=":material/help:")
    if inventory.classes:
        rows = [
            counts.model_dump() | {"all": counts.train + counts.validation + counts.test}
            for counts in inventory.classes
        ]
        most = max(row["all"] for row in rows)
        bar = st.column_config.ProgressColumn("images", format="%d", min_value=0, max_value=max(most, 1))
        st.dataframe(rows, column_config={"all": bar}, hide_index=True)
    for note in (*inventory.notes, *([inventory.pixel_range] if inventory.pixel_range else [])):
        st.caption(translated(note))
    left = [
        {"left out": out.what, "files": out.count, "why": out.why, "such as": ", ".join(out.examples)}
        for out in inventory.left_out
    ]
    bad = [
        {"left out": say("cannot be read"), "files": len(names), "why": reason, "such as": ", ".join(names)}
        for reason, names in by_reason(inventory.bad).items()
    ]
    if left or bad:
        st.dataframe([*bad, *left], hide_index=True)


def choose(inventory: Inventory, key: str) -> Choices:
    """Ask for the choices that would change what was understood; those of the inventory are filled in."""
    now = inventory.choices
    skip = bool(inventory.bad) and st.checkbox(
        say("Leave out files that cannot be read"), now.skip_bad, key=f"{key}.skip"
    )
    split = st.text_input(
        say("Splits"),
        now.split or "",
        key=f"{key}.split",
        help=say("'hash' makes one; or one for each topmost folder: a=train,b=test,c=none. Empty: as the names tell."),
    )
    levels: dict[int | None, str] = {None: say("the outermost")}
    levels |= {level.level: f"{level.level}: {', '.join(level.folders[:4])}" for level in inventory.levels}
    level = (
        st.selectbox(
            say("Folders that are the classes"), list(levels), format_func=levels.__getitem__, key=f"{key}.level"
        )
        if inventory.levels
        else None
    )
    labels = st.text_input(
        say("Labels"),
        now.labels or "",
        key=f"{key}.labels",
        help=say("A list in the archive, such as labels.csv, or a pattern of file names, such as {class}_*."),
    )
    names = st.text_input(
        say("Encoding of names"), now.names or "", key=f"{key}.names", help=say("Such as gbk; empty: as it looks.")
    )
    return Choices(
        split=split or None,
        class_level=level,
        skip_bad=skip,
        names=names or None,
        labels=labels or None,
        ignore_case=now.ignore_case,
    )
