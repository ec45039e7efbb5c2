"""What a network sees of a photo, what arrives at its gates, and how a gate is computed, against the forward pass."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from attention.analyses import run
from attention.build import build, resolve
from attention.data.files import samples
from attention.data.preprocessing import preprocess
from attention.errors import InvalidRequest
from attention.gate import capture
from attention.network import describe
from attention.reports.compare import CompareRequest
from attention.reports.maps import MapsRequest
from attention.reports.seen import SeenRequest
from attention.reports.trace import TraceRequest
from attention.spec import Variant
from tests.attention.direct_lab import DirectLab

PHOTO = samples()[0].id


@pytest.fixture
def lab(tmp_path: Path) -> DirectLab:
    return DirectLab(tmp_path)


def forward(name: str, lab: DirectLab) -> tuple[torch.nn.Module, dict[str, torch.Tensor], torch.Tensor]:
    """The network, its gates and the first module's input for the first sample, without any of our hooks on it."""
    variant = resolve(Variant.parse(name))
    model = build(variant).eval()
    image = preprocess(lab.files.image(PHOTO), describe(variant, lab.files.checkpoints).preprocess)[None]
    arrived: list[torch.Tensor] = []
    module = next(m for n, m in model.named_modules() if n == "layer1.0.standard")
    module.register_forward_pre_hook(lambda _, inputs: arrived.append(inputs[0]))
    with torch.inference_mode(), capture(model) as gates:
        model(image)
    return model, dict(gates), arrived[0][0]


def test_the_picture_is_the_networks_input_to_the_last_level(lab: DirectLab) -> None:
    report = run(SeenRequest(image=PHOTO, variants=(Variant.parse("none"), Variant.parse("eca"))), lab)
    (picture,) = report.pictures
    assert len(picture.networks) == 2, "both prepare a photo alike"
    how = picture.preprocess
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(picture.png_base64))))
    assert shown.shape == (how.size, how.size, 3)
    again = torch.from_numpy(shown.copy()).permute(2, 0, 1).float() / 255
    normalised = (again - torch.tensor(how.mean).view(3, 1, 1)) / torch.tensor(how.std).view(3, 1, 1)
    assert torch.allclose(normalised, preprocess(lab.files.image(PHOTO), how), atol=1e-5)


def test_maps_are_the_gates_input_from_most_open_to_most_closed(lab: DirectLab) -> None:
    gate = "layer1.0.standard.0.gate"
    report = run(MapsRequest(image=PHOTO, variant=Variant.parse("eca"), gate=gate), lab)
    _, gates, arrived = forward("eca", lab)
    weights = [drawn.weight for drawn in report.maps if drawn.weight is not None]
    assert weights == sorted(weights, reverse=True) and len(weights) == 16 == report.channels
    for drawn in report.maps:
        assert drawn.weight == pytest.approx(float(gates[gate].flatten()[drawn.channel]), abs=1e-6)
        levels = np.asarray(Image.open(io.BytesIO(base64.b64decode(drawn.png_base64))))
        assert levels.shape == (report.height, report.width)
        values = drawn.low + levels / 255 * (drawn.high - drawn.low)
        step = (drawn.high - drawn.low) / 255
        assert np.abs(values - arrived[drawn.channel].numpy()).max() <= 0.51 * step
        assert drawn.mean == pytest.approx(float(arrived[drawn.channel].mean()), abs=1e-5)


@pytest.mark.parametrize(
    ("name", "gate", "weighed"),
    [
        ("resnet20/cbam", "layer1.0.standard.0.spatial_gate", False),
        ("resnet20/coord", "layer1.0.standard.0.row_gate", True),
        ("resnet20/sk", None, True),
        ("resnet20/simam", "layer2.0.standard.0.gate", True),
    ],
)
def test_gates_of_every_kind_have_maps(name: str, gate: str | None, weighed: bool, lab: DirectLab) -> None:
    if gate is None:
        asked = CompareRequest(images=(PHOTO,), variants=(Variant.parse(name),))
        gate = run(asked, lab).predictions[0].gates[0].path
    report = run(MapsRequest(image=PHOTO, variant=Variant.parse(name), gate=gate, channels=(0, 3)), lab)
    assert [drawn.channel for drawn in report.maps] == [0, 3]
    assert [drawn.weight is not None for drawn in report.maps] == [weighed] * 2


def test_a_place_of_danet_listens_with_shares_that_sum_to_one(lab: DirectLab) -> None:
    gate = "layer3.2.standard.0.position.gate"
    asked = MapsRequest(image=PHOTO, variant=Variant.parse("resnet20/danet"), gate=gate, channels=(), place=(2, 5))
    heard = run(asked, lab).listening
    assert heard is not None and (heard.height, heard.width) == (8, 8)
    assert sum(heard.shares) == pytest.approx(1, abs=1e-5)
    _, gates, _ = forward("resnet20/danet", lab)
    assert heard.shares == pytest.approx(gates[gate][0, 2 * 8 + 5].tolist(), abs=1e-6)
    channels = asked.model_copy(update={"gate": "layer3.2.standard.0.channel.gate"})
    assert run(channels, lab).listening is None, "64 channels are not the 64 places"


@pytest.mark.full
def test_a_gate_a_channel_and_a_place_that_are_not_there_are_sentences(lab: DirectLab) -> None:
    gate = "layer1.0.standard.0.gate"
    asked = MapsRequest(image=PHOTO, variant=Variant.parse("eca"), gate=gate)
    for change, words in (
        ({"gate": "layer9.gate"}, "has no gate"),
        ({"channels": (16,)}, "no channel 16"),
        ({"variant": Variant.parse("none")}, "none at all"),
    ):
        with pytest.raises(InvalidRequest, match=words):
            run(asked.model_copy(update=change), lab)
    beyond = MapsRequest(
        image=PHOTO, variant=Variant.parse("resnet20/danet"), gate="layer3.0.standard.0.position.gate", place=(8, 0)
    )
    with pytest.raises(InvalidRequest, match="no place at row 8"):
        run(beyond, lab)


@pytest.mark.full
def test_matrices_are_left_out_unless_they_are_asked_for(lab: DirectLab) -> None:
    asked = CompareRequest(images=(PHOTO,), variants=(Variant.parse("resnet20/danet"),), gates="json")
    prediction = run(asked, lab).predictions[0]
    assert prediction.left_out == tuple(gate.path for gate in prediction.gates) and len(prediction.gates) == 18
    assert prediction.values == ((),) * 18
    assert len(prediction.model_dump_json()) < 20_000, "9 MB before"
    whole = run(asked.model_copy(update={"gates": "base64", "matrices": True}), lab).predictions[0]
    assert whole.left_out == () and whole.values_base64 is not None
    entries = sum(int(np.prod(gate.shape)) for gate in whole.gates)
    assert len(base64.b64decode(whole.values_base64)) == 2 * entries


def test_eca_is_traced_as_its_formula_says(lab: DirectLab) -> None:
    report = run(TraceRequest(image=PHOTO, variant=Variant.parse("eca")), lab)
    _, gates, arrived = forward("eca", lab)
    assert report.pooled == pytest.approx(arrived.mean((1, 2)).tolist(), abs=1e-6)
    (step,) = report.steps
    padded = [0.0, *report.pooled, 0.0]
    assert len(step.weight) == 3
    for channel, output in enumerate(step.output):
        taken = sum(weight * value for weight, value in zip(step.weight, padded[channel : channel + 3], strict=True))
        assert output == pytest.approx(taken, abs=1e-6)
        assert report.weights[channel] == pytest.approx(1 / (1 + np.exp(-output)), abs=1e-6)
    assert report.weights == pytest.approx(gates["layer1.0.standard.0.gate"].flatten().tolist(), abs=1e-6)


def test_se_is_traced_through_its_bottleneck(lab: DirectLab) -> None:
    report = run(TraceRequest(image=PHOTO, variant=Variant.parse("se"), gate="layer2.0.standard.0.gate"), lab)
    reduce, expand = report.steps
    first, second = (np.array(step.weight).reshape(step.shape[:2]) for step in (reduce, expand))
    hidden = first @ np.array(report.pooled)
    assert reduce.output == pytest.approx(hidden.tolist(), abs=1e-5)
    assert expand.output == pytest.approx((second @ np.maximum(hidden, 0)).tolist(), abs=1e-5)
    assert report.weights == pytest.approx((1 / (1 + np.exp(-np.array(expand.output)))).tolist(), abs=1e-6)


def test_what_does_not_come_from_means_cannot_be_traced_and_says_so(lab: DirectLab) -> None:
    with pytest.raises(InvalidRequest, match="means alone"):
        run(TraceRequest(image=PHOTO, variant=Variant.parse("resnet20/cbam")), lab)
