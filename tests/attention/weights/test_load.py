"""Weights: what is loaded is what was stored, what does not fit gets a sentence, and nothing is ever unpickled."""

import pickle
from pathlib import Path

import pytest
import torch

from attention.build import build, resolve
from attention.data.files import Files
from attention.errors import AttentionError, BadCheckpoint, NotFound
from attention.network import describe
from attention.spec import Variant
from attention.weights import load as weights
from attention.weights.find import NOWHERE, Checkpoints, check_name
from tests.attention.weights.checkpoint_files import TENSORS, Bomb, logits, report_of, stored, trained, write


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Checkpoints:
    """A folder that holds ``plain``, a trained ResNet-20."""
    folder = tmp_path_factory.mktemp("checkpoints")
    write(folder / "plain.safetensors", trained("resnet20/none").state_dict())
    return Checkpoints(folder)


# ---------------------------------------------------------------- files


def test_a_stored_checkpoint_gives_the_network_that_was_stored(plain: Checkpoints) -> None:
    variant = Variant.parse("resnet20/none?weights=file:plain&seed=3")
    assert torch.equal(logits(build(variant, plain)), logits(trained("resnet20/none")))
    report = report_of(variant.name, plain)
    assert (report.file, report.loaded, report.renamed, report.notes) == ("plain.safetensors", TENSORS, (), ())
    assert report.missing == report.unexpected == report.fresh == ()
    assert weights.warning(report) is None


def test_the_ending_may_be_said(plain: Checkpoints) -> None:
    build(Variant.parse("resnet20/none?weights=file:plain.safetensors"), plain)


def test_half_precision_is_read_as_what_it_says(tmp_path: Path) -> None:
    state = {
        name: value.half() if value.is_floating_point() else value
        for name, value in trained("resnet20/none").state_dict().items()
    }
    write(tmp_path / "half.safetensors", state)
    loaded = build(Variant.parse("resnet20/none?weights=file:half"), Checkpoints(tmp_path)).state_dict()
    assert all(
        value.dtype == loaded[name].dtype or torch.equal(value.float(), loaded[name]) for name, value in state.items()
    )


@pytest.mark.parametrize(
    "name", ["../secret", "/etc/passwd", "~/x", "a/b", "..", ".hidden", "a\\b", "x%2f..%2fy", "a\0b", "", "x" * 300]
)
def test_a_name_never_leads_out_of_its_folder(tmp_path: Path, name: str) -> None:
    write(tmp_path / "secret.safetensors", trained("resnet20/none").state_dict())
    inside = tmp_path / "checkpoints"
    inside.mkdir()
    variant = Variant.parse("resnet20/none").model_copy(update={"weights": f"file:{name}"})
    for checkpoints in (Checkpoints(inside), Files(tmp_path).checkpoints, NOWHERE):
        with pytest.raises(AttentionError) as caught:
            build(variant, checkpoints)
        assert str(tmp_path) not in str(caught.value)


@pytest.mark.full
def test_without_a_folder_no_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "plain.safetensors", trained("resnet20/none").state_dict())
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadCheckpoint, match="no folder of checkpoints is given"):
        build(Variant.parse("resnet20/none?weights=file:plain"))


def test_a_program_may_allow_paths(tmp_path: Path) -> None:
    path = write(tmp_path / "deep" / "plain.safetensors", trained("resnet20/none").state_dict())
    for said in (path, path.with_suffix("")):
        build(Variant.parse(f"resnet20/none?weights=file:{said}"), Checkpoints(any_path=True))


def test_a_service_keeps_checkpoints_in_its_data_folder(tmp_path: Path) -> None:
    write(tmp_path / "checkpoints" / "mine.safetensors", trained("resnet20/none").state_dict())
    assert report_of("resnet20/none?weights=file:mine", Files(tmp_path).checkpoints).loaded == TENSORS


def test_a_checkpoint_that_is_not_there_gets_a_hint(plain: Checkpoints) -> None:
    with pytest.raises(NotFound, match="There is no checkpoint 'plane' here. Did you mean 'plain'?"):
        build(Variant.parse("resnet20/none?weights=file:plane"), plain)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("mine", "There are no weights called 'mine'. Say 'shipped', 'file:NAME'"),
        ("file:", "There are no weights called 'file:'"),
        ("http://example.org/x.safetensors", "There are no weights called 'http:"),
        ("hub:resnet50", "'resnet50' is neither a repository, OWNER/NAME, nor a name of torchvision's"),
        ("hub:ResNet50_Weights.IMAGENET1K_V3", "Did you mean 'ResNet50_Weights.IMAGENET1K_V"),
        ("hub:timm/../../etc", "'timm/../../etc' is not a repository on the hub"),
        ("hub:timm/resnet50/pytorch_model.bin", "is a pickle or an archive"),
        ("hub:timm/resnet50@main;x", "is not a repository on the hub"),
    ],
)
def test_a_name_that_cannot_be_is_refused_before_anything_is_looked_for(said: str, sentence: str) -> None:
    with pytest.raises(BadCheckpoint) as caught:
        check_name(said)
    assert sentence in str(caught.value)
    with pytest.raises(BadCheckpoint):
        resolve(Variant.parse("resnet50/none").model_copy(update={"weights": said}))


# ---------------------------------------------------------------- no pickle, no damage


@pytest.mark.parametrize("ending", ["bin", "pt", "pth", "ckpt", "pkl", "pth.tar"])
@pytest.mark.parametrize("any_path", [False, True])
def test_pickles_are_refused_by_their_names(tmp_path: Path, ending: str, any_path: bool) -> None:
    path = tmp_path / f"net.{ending}"
    torch.save({"bomb": Bomb()}, path)
    said = path if any_path else path.name
    with pytest.raises(
        BadCheckpoint, match="can run code when it is opened, so it is not. Where it lies, `attention-lab convert"
    ):
        build(Variant.parse(f"resnet20/none?weights=file:{said}"), Checkpoints(tmp_path, any_path=any_path))
    assert not Bomb.went_off


@pytest.mark.parametrize("protocol", [None, 2, 4, 5])
def test_pickles_are_refused_by_their_first_bytes(tmp_path: Path, protocol: int | None) -> None:
    path = tmp_path / "net.safetensors"
    if protocol is None:
        torch.save({"bomb": Bomb()}, path)
    else:
        path.write_bytes(pickle.dumps(Bomb(), protocol) * 9)
    with pytest.raises(BadCheckpoint, match="can run code when it is opened"):
        build(Variant.parse("resnet20/none?weights=file:net"), Checkpoints(tmp_path))
    assert not Bomb.went_off


def header_of(size: int, text: bytes) -> bytes:
    return size.to_bytes(8, "little") + text


@pytest.mark.full
@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "is not a safetensors file"),
        (b"hello", "is not a safetensors file"),
        (b"\x89PNG\r\n\x1a\n" * 4, "is not a safetensors file"),
        (header_of(2**62, b"{}" * 20), "claims a header of 4,611,686,018,427,387,904 bytes in a file of 48"),
        (header_of(100, b'{"a":'), "claims a header of 100 bytes in a file of 13"),
        (header_of(20, b"{ this is not JSON }"), "is damaged"),
        (header_of(61, b'{"a":{"dtype":"F32","shape":[9999],"data_offsets":[0,39996]}} '), "is damaged"),
        (header_of(58, b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,99999]}}'), "is damaged"),
        (header_of(2, b"{}"), "97 of its tensors are missing"),
    ],
)
def test_a_damaged_file_gets_a_sentence(tmp_path: Path, data: bytes, sentence: str) -> None:
    (tmp_path / "bad.safetensors").write_bytes(data)
    with pytest.raises(BadCheckpoint) as caught:
        build(Variant.parse("resnet20/none?weights=file:bad"), Checkpoints(tmp_path))
    assert sentence in str(caught.value)
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize("share", [0.001, 0.5, 0.999])
def test_a_truncated_file_gets_a_sentence(tmp_path: Path, plain: Checkpoints, share: float) -> None:
    assert plain.folder is not None
    data = (plain.folder / "plain.safetensors").read_bytes()
    (tmp_path / "half.safetensors").write_bytes(data[: int(len(data) * share)])
    with pytest.raises(BadCheckpoint, match=r"half\.safetensors is damaged"):
        build(Variant.parse("resnet20/none?weights=file:half"), Checkpoints(tmp_path))


def test_numbers_that_are_not_finite_and_not_floats_are_refused(tmp_path: Path) -> None:
    state = dict(trained("resnet20/none").state_dict())
    write(tmp_path / "inf.safetensors", {**state, "fc.bias": torch.full((10,), torch.inf)})
    with pytest.raises(BadCheckpoint, match=r"fc\.bias of the checkpoint inf\.safetensors is not finite throughout"):
        build(Variant.parse("resnet20/none?weights=file:inf"), Checkpoints(tmp_path))
    write(tmp_path / "int.safetensors", {**state, "fc.bias": torch.zeros(10, dtype=torch.int32)})
    with pytest.raises(BadCheckpoint, match=r"The checkpoint int\.safetensors holds I32 in fc\.bias, not floats"):
        build(Variant.parse("resnet20/none?weights=file:int"), Checkpoints(tmp_path))


def test_weights_of_eight_bits_are_read(tmp_path: Path) -> None:
    """Torch cannot ask of them whether they are finite."""
    state = {
        name: value.half().to(torch.float8_e4m3fn) for name, value in trained("resnet20/none").state_dict().items()
    }
    write(tmp_path / "small.safetensors", state)
    model = build(Variant.parse("resnet20/none?weights=file:small"), Checkpoints(tmp_path))
    assert torch.equal(model.state_dict()["fc.weight"], state["fc.weight"].float())


# ---------------------------------------------------------------- what does not match


@pytest.mark.parametrize(
    ("stored_name", "asked", "sentence"),
    [
        (
            "resnet20/none?classes=3",
            "resnet20/none",
            "tells 3 classes apart, not 10. Ask for classes=3: resnet20/none?classes=3&weights=file:it.",
        ),
        (
            "resnet20(width=8)/none",
            "resnet20/none",
            "does not fit resnet20/none?classes=10&weights=file:it: conv1.weight is (8, 3, 3, 3), expected (16, 3,",
        ),
        ("resnet32/none", "resnet20/none", "has tensors that resnet20/none has no place for: layer1.3.bn1.bias"),
        (
            "resnet20/none",
            "resnet32/none",
            "is not one of 'resnet32': 60 of its tensors are missing, such as layer1.3.conv1.weight",
        ),
        (
            "resnet20/se(reduction=4)",
            "resnet20/se",
            "layer1.0.standard.0.reduce.weight is (4, 16, 1, 1), expected (1, 16, 1, 1)",
        ),
        ("resnet20/se", "resnet20/se(bias=true)", "only a part of the attention of resnet20/se(bias=true)"),
        ("resnet20/se", "resnet20/se(bias=true)", "Ask for resnet20/se?weights=file:it."),
        ("resnet20/se(bias=true)", "resnet20/se", "no place for: layer1.0.standard.0.expand.bias"),
        ("resnet20/se", "resnet20/none", "no place for: layer1.0.standard.0.expand.weight"),
        ("resnet20/se", "resnet20/eca", "no place for: layer1.0.standard.0.expand.weight"),
        ("resnet20/se", "resnet20/se@post", "no place for: layer1.0.standard.0.expand.weight"),
    ],
)
def test_what_does_not_match_is_refused_with_what_was_expected(
    tmp_path: Path, stored_name: str, asked: str, sentence: str
) -> None:
    variant = resolve(Variant.parse(asked)).model_copy(update={"weights": "file:it"})
    for look in (build, describe):
        with pytest.raises(BadCheckpoint) as caught:
            look(variant, stored(tmp_path, stored_name))
        assert sentence in str(caught.value)


@pytest.mark.full
def test_one_missing_tensor_of_the_backbone_is_enough(tmp_path: Path) -> None:
    with pytest.raises(BadCheckpoint, match=r"1 of its tensors are missing, such as layer2\.0\.bn2\.running_mean"):
        build(
            Variant.parse("resnet20/none?weights=file:it"),
            stored(tmp_path, "resnet20/none", layer2__0__bn2__running_mean=None),
        )


@pytest.mark.full
def test_a_wrapped_normalisation_is_not_loaded_as_if_nothing_were(tmp_path: Path) -> None:
    state = trained("resnet50(width=0.25)/none").state_dict()
    write(tmp_path / "it.safetensors", state, lambda name: name.replace(".bn3.", ".bn3.0."))
    with pytest.raises(BadCheckpoint, match=r"layer1\.0\.bn3\.0\.weight"):
        build(Variant.parse("resnet50(width=0.25)/none?weights=file:it"), Checkpoints(tmp_path))


def test_only_counters_may_be_missing_or_left_over_and_they_are_named(tmp_path: Path) -> None:
    checkpoints = stored(
        tmp_path,
        "resnet20/none",
        bn1__num_batches_tracked=None,
        total_ops=torch.zeros(1),
        fc__total_params=torch.ones(1),
    )
    report = report_of("resnet20/none?weights=file:it", checkpoints)
    assert report.missing == ("bn1.num_batches_tracked",)
    assert sorted(report.unexpected) == ["fc.total_params", "total_ops"]
    assert weights.warning(report) is None


@pytest.mark.full
def test_two_tensors_for_one_place_are_refused(tmp_path: Path) -> None:
    state = dict(trained("resnet20/se").state_dict())
    state["layer1.0.se.fc1.weight"] = torch.zeros(1, 16, 1, 1)
    write(tmp_path / "it.safetensors", state)
    with pytest.raises(BadCheckpoint, match="several tensors for one place"):
        build(Variant.parse("resnet20/se?weights=file:it"), Checkpoints(tmp_path))
