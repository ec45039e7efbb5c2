"""What decides an answer is told: which weights and data it came from, by what is in the files; nothing is fetched."""

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from safetensors.torch import save_file

from attention.build import build
from attention.data.files import Files
from attention.reports.compare import CompareRequest
from attention.reports.cost import CostRequest
from attention.reports.modules import KernelRequest
from attention.reports.study import StudyRequest
from attention.spec import Pictures, Plain, Request, Variant
from attention.weights.find import Checkpoints
from server.answers.provenance import Provenance, changes
from server.engine import Engine
from server.settings import Settings
from server.stored.references import data_sets, photos, title

TRIO = tuple(map(Variant.parse, ("none", "se", "eca")))


class Fake:
    """An engine as far as conditions go."""

    def __init__(self, files: Files) -> None:
        self.files = files
        self.device = "a chip"


def watch(files: Files) -> Provenance:
    return Provenance(cast(Engine, Fake(files)), Settings(threads=3))


def cost(*names: str) -> CostRequest:
    return CostRequest(variants=tuple(map(Variant.parse, names)))


def checkpoint(folder: Path, seed: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    variant = Variant(attention="se", seed=seed)
    save_file(build(variant).state_dict(), folder / "mine.safetensors")


def test_a_question_without_files_has_those_of_the_service_only(tmp_path: Path) -> None:
    found = watch(Files(tmp_path)).conditions(KernelRequest())
    assert (found.device, found.threads, found.weights, found.data) == ("a chip", 3, {}, {})
    assert found.version and found.torch


def test_shipped_weights_have_a_fingerprint_each_and_untrained_networks_none(tmp_path: Path) -> None:
    found = watch(Files(tmp_path)).conditions(CostRequest(variants=(*TRIO, Variant.parse("resnet20/se"))))
    assert set(found.weights) == {variant.name for variant in TRIO}
    assert len(set(found.weights.values())) == 3


def test_other_bytes_in_a_checkpoint_are_another_fingerprint_and_its_card_counts(tmp_path: Path) -> None:
    files, name = Files(tmp_path), "resnet20/se?weights=file:mine"
    folder = files.checkpoints.folder
    assert folder is not None
    seen = []
    for seed in (0, 1, 0):
        checkpoint(folder, seed)
        seen.append(watch(files).conditions(cost(name)))
    assert seen[0] == seen[2] != seen[1]
    (changed,) = changes(seen[0], seen[1])
    assert changed.path == f"weights of {name}" and changed.before != changed.after


def test_weights_that_are_not_here_are_not_fetched(tmp_path: Path) -> None:
    def fetch(repository: str, file: str, revision: str | None) -> Path | None:
        pytest.fail("a count of parameters fetched weights")

    class Eager(Files):
        @property
        def checkpoints(self) -> Checkpoints:
            return replace(super().checkpoints, fetch=fetch)

    asked = cost("resnet50/none?weights=hub:timm/resnet50.a1_in1k", "resnet20/se?weights=file:missing")
    for files in (Files(tmp_path), Eager(tmp_path)):
        assert watch(files).conditions(asked).weights == {}


def test_a_data_set_that_changes_is_noticed(tmp_path: Path) -> None:
    asked = StudyRequest(data="pets", variants=(Variant(), Variant(attention="se")))
    assert watch(Files(tmp_path)).conditions(asked).data == {}
    cats = tmp_path / "datasets" / "pets" / "train" / "cats"
    cats.mkdir(parents=True)
    before = watch(Files(tmp_path)).conditions(asked)
    assert set(before.data) == {"pets"}
    assert watch(Files(tmp_path)).conditions(asked) == before
    (cats / "tom.jpg").write_bytes(b"a cat")
    after = watch(Files(tmp_path)).conditions(asked)
    assert [change.path for change in changes(before, after)] == ["data of pets"]


def test_a_name_that_leads_elsewhere_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "secret.zip").write_bytes(b"x")
    (tmp_path / "datasets").mkdir()
    for name in ("../secret", "..", "*", "../*", "secret"):
        asked = Deep(inside=Inside(pictures=(Pictures(data=name),)))
        assert watch(Files(tmp_path)).conditions(asked).data == {}


def test_nothing_is_known_to_have_changed_where_nothing_was_known(tmp_path: Path) -> None:
    assert changes(None, watch(Files(tmp_path)).conditions(KernelRequest())) == ()


class Inside(Plain):
    """Data sets some way down."""

    pictures: tuple[Pictures, ...]


class Deep(Request[Inside]):
    """A question with data sets inside."""

    inside: Inside
    data: str = "top"


def test_photos_and_data_sets_are_found_however_deep() -> None:
    ids = ("a" * 64, "0" * 64)
    deep = Deep(inside=Inside(pictures=(Pictures(images=ids), Pictures(data="low"))))
    assert sorted(data_sets(deep)) == ["low", "top"]
    assert photos(deep.model_dump(mode="json")) == ids


@pytest.mark.parametrize(
    ("question", "words"),
    [
        (CompareRequest(images=("a" * 64, "b" * 64), top_k=3), "none, se, eca · 2 photos · top_k 3"),
        (cost("resnet50/se", "resnet50/eca", "eca", "resnet20/none"), "resnet50/se, resnet50/eca, eca and 1 more"),
        (KernelRequest(gamma=3), "gamma 3.0"),
        (KernelRequest(), "as it is by default"),
    ],
)
def test_a_title_names_networks_photos_and_what_is_not_default(question: Request[Any], words: str) -> None:
    assert title(question) == words
