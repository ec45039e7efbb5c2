"""Grad-CAM beside the predictions, the fold, and the contact sheet of disagreement: drawn as the reports have it."""

import pytest
from streamlit.testing.v1 import AppTest

from attention.client import Client
from attention.reports.cam import CamRequest
from attention.reports.disagreement import DisagreementReport, DisagreementRequest
from attention.reports.fold import FoldReport, FoldRequest
from attention.spec import Pictures, Variant
from dashboard import connect
from dashboard.drawing import words
from dashboard.views.ablate import disagreement_panels as disagree_panels
from dashboard.views.ablate import fold as fold_panels
from dashboard.views.look import cam as cam_panels
from server.settings import Settings
from tests.dashboard.page_parts import done, linked, page_of, table, texts, write_pets

NONE, SE = (Variant.parse(f"resnet20/{name}?classes=10&weights=shipped") for name in ("none", "se"))
PETS = Pictures(data="pets")


def page(name: str, client: Client, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setattr(connect, "client", lambda: client)
    return AppTest.from_file(page_of(name), default_timeout=120)


@pytest.mark.full
def test_compare_shows_where_networks_look_once_it_is_asked(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = page("look/page", client, monkeypatch)
    shown.query_params["variant"] = [SE.name]
    shown.query_params["numbers"] = "true"
    shown.run()
    assert "Grad-CAM (Selvaraju" not in texts(shown.caption)
    shown.toggle(key="cam").set_value(True).run()
    assert not shown.exception and not shown.error
    assert linked(shown, "cam") == ["1"] and "Selvaraju" in texts(shown.caption)
    (image,) = linked(shown, "image")
    found = client.ask(CamRequest(images=(image,), variants=(SE,))).maps[0]
    cells = table(shown, "x", "y", "evidence")
    assert list(cells["evidence"]) == [value for row in found.grid for value in row]
    assert cam_panels.caption(found) in texts(shown.caption)


@pytest.mark.full
def test_a_class_that_is_not_there_is_a_sentence(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = page("look/page", client, monkeypatch)
    shown.query_params["cam"] = "1"
    shown.run()
    shown.text_input(key="cam.class").set_value("unicorn").run()
    assert not shown.exception and "unicorn" in texts(shown.error)
    assert "Their gates, layer by layer" in texts(shown.subheader), "the rest of the page stands"


@pytest.mark.full
def test_a_heat_map_lies_where_the_network_saw_the_photo(client: Client) -> None:
    image = next(image for image in client.images() if image.sample and image.width > image.height)
    report = client.ask(CamRequest(images=(image.id,), variants=(SE,)))
    drawn = cam_panels.over(report.maps[0], report.photos[0], b"jpeg").to_dict()
    cells = next(rows for rows in drawn["datasets"].values() if "evidence" in rows[0])
    left, top, right, bottom = report.maps[0].crop
    assert min(cell["x"] for cell in cells) == pytest.approx(left * image.width)
    assert max(cell["x2"] for cell in cells) == pytest.approx(right * image.width)
    assert max(cell["y2"] for cell in cells) == pytest.approx(bottom * image.height) and top == 0


@pytest.mark.full
def test_a_fold_is_asked_for_done_and_shown(
    client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_pets(settings)
    client.submit(FoldRequest(variant=SE, images=PETS, rounds=0))
    job = done(client, settings)
    report = client.report(job, FoldReport)
    shown = page("ablate/page", client, monkeypatch)
    shown.query_params["job"] = job
    shown.run()
    assert not shown.exception and not shown.error
    assert linked(shown, "on") == ["fold"]
    assert report.headline in texts(shown.subheader).replace("−", "-")
    assert report.kept is not None and report.kept.name in texts(shown.success)
    assert client.checkpoint(report.kept.checkpoint)[:8] != b""
    rows = fold_panels.states(report)
    assert list(rows["network"]) == ["as trained", "mean gates", "folded: plain"]
    assert rows["parameters"][2] == "269,722", "the plain ResNet-20"
    spread = table(shown, "layer", "part", "spread")
    assert len(spread) == 2 * len(report.gates)
    assert list(spread["spread"][::2]) == pytest.approx([gate.over_channels for gate in report.gates])


@pytest.mark.full
def test_disagreement_is_a_contact_sheet_with_every_answer(
    client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_pets(settings)
    client.submit(DisagreementRequest(images=PETS, variants=(NONE, SE), limit=6))
    job = done(client, settings)
    report = client.report(job, DisagreementReport)
    shown = page("ablate/disagreement", client, monkeypatch)
    shown.query_params["job"] = job
    shown.run()
    assert not shown.exception and not shown.error
    called = words.labels([network.name for network in report.networks])
    assert words.relabelled(report.headline, called) in texts(shown.subheader)
    labels = disagree_panels.named(report)
    assert list(labels.values()) == ["None", "SE", "SE without attention"]
    said = texts(shown.markdown)
    assert report.entries and all(disagree_panels.entry_label(entry, labels) in said for entry in report.entries)
    cells = table(shown, "first", "second", "agreement")
    assert len(cells) == 2 * len(report.pairs)
    assert list(cells["agreement"][::2]) == pytest.approx([pair.agreement for pair in report.pairs])
    assert list(disagree_panels.flips(report)["network"]) == ["SE"]


@pytest.mark.full
@pytest.mark.usefixtures("nothing_shipped")
def test_the_page_without_a_data_set_says_how_to_bring_one(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = page("ablate/disagreement", client, monkeypatch)
    shown.run()
    assert not shown.exception and not shown.error
    assert "There is no data set yet." in texts(shown.markdown)
