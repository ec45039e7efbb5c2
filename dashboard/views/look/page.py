""":material/compare: Compare: what networks see in a photo, and what their attention does."""

from collections.abc import Sequence

import streamlit as st
from pydantic import ValidationError

from attention.reports.compare import CompareRequest
from attention.schemas import Catalog
from attention.spec import Variant
from dashboard import connect
from dashboard.drawing import tables
from dashboard.language import say
from dashboard.views.look import cam as cam_panels
from dashboard.views.look import panels
from dashboard.widgets import forms, links, photos


def default_variants(catalog: Catalog) -> Sequence[Variant]:
    """The shipped trio; the same networks untrained where nothing is shipped."""
    trio: tuple[Variant, ...] = CompareRequest.model_fields["variants"].default
    return trio if catalog.shipped else [variant.model_copy(update={"weights": None}) for variant in trio]


st.title("Compare")
st.markdown("One photo through several networks: what each of them says, and how its attention weighs the channels.")
catalog = connect.catalog()
images = photos.choose()
variants = forms.variants(catalog, default_variants(catalog), "variant")
if not images or not variants:
    st.info("Choose at least one photo and one network.")
    st.stop()
try:
    request = CompareRequest(images=tuple(image.id for image in images), variants=variants, gates="base64")
except ValidationError as error:
    st.error(forms.sentence(error))
    st.stop()
with st.spinner("Running the networks …"):
    report = connect.ask(request)

panels.warnings(report)
st.subheader("What each network says")
image = images[0]
if len(images) > 1:
    titles = {image.id: f"{number}. {photos.title(image)}" for number, image in enumerate(images, 1)}
    st.table(tables.first_classes(report, titles))
    picked = st.segmented_control("Photo", list(titles), format_func=titles.__getitem__, default=image.id)
    image = next((one for one in images if one.id == picked), image)
panels.predictions(report, image)
cam_panels.where(image, variants)
panels.gates(report, image)
panels.downloads(report)
links.to("classes", say("How gates differ from class to class"), ":material/stacked_line_chart:")
