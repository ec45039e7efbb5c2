"""Which data set a page is about: one of the data folder, or a zip that is uploaded."""

import streamlit as st

from attention.client import ServiceError
from attention.schemas import DataSet
from dashboard import connect
from dashboard.widgets import linked


def data_set() -> DataSet | None:
    """The data set to train on: one of the data folder, or a zip that is uploaded; None if there is none yet."""
    _upload()
    stored = {one.name: one for one in connect.client().datasets()}
    if not stored:
        st.markdown(
            "**There is no data set yet.** Upload a zip with a folder of photos for each class, or put such a folder "
            "at `<data folder>/datasets/NAME`:\n```\nNAME/train/cats/1.jpg   NAME/test/cats/9.jpg     a split as you "
            "made it\nNAME/cats/1.jpg         NAME/dogs/1.jpg          or none: a fifth is kept for the test\n```\n"
            "`cifar-10-binary.tar.gz` in that folder works as it is. The data folder is `ATTENTION_DATA`, by default "
            "`~/.local/share/attention`."
        )
        return None
    picked = stored[linked.choice(st.selectbox, "Data set", list(stored), "data", next(iter(stored)))]
    st.caption(_described(picked))
    return picked


def _described(data: DataSet) -> str:
    said = [data.kind]
    if data.images is not None:
        said.append(f"{data.images:,} images")
    if data.classes:
        said.append(
            f"{len(data.classes)} classes: {', '.join(data.classes[:6])}{' …' if len(data.classes) > 6 else ''}"
        )
    if data.split is False:
        said.append("no split of its own")
    return ", ".join(said) + "."


def _upload() -> None:
    """An upload box for a zip. What is refused says why; what arrives is chosen."""
    with st.expander("Upload a data set", icon=":material/upload:"):
        file = st.file_uploader(
            "A zip with a folder for each class",
            type="zip",
            key="zip",
            help="Photos in NAME/<class>/, or below train/ and test/. Larger ones go through POST /v1/datasets, or "
            "straight into the data folder.",
        )
        if file is None:
            return
        name = st.text_input("Name", file.name.removesuffix(".zip"), key=f"zip.name.{file.file_id}")
        if st.button("Upload", type="primary", key="zip.send", disabled=not name.strip()):
            try:
                with st.spinner("Uploading, and reading it through once …"):
                    kept = connect.client().upload_dataset(name, file)
            except ServiceError as error:
                st.error(str(error), icon=":material/error:")
            else:
                st.session_state["data"] = kept.name
                st.success(f"{kept.name} is there: {_described(kept)}", icon=":material/check:")
