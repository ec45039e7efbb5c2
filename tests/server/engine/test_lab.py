"""The lab of a service: what it gives is what the naive one gives, whatever it shares, caches and batches."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from attention.build import build
from attention.data.files import Files, samples
from attention.data.sampling import batches
from attention.gate import gates
from attention.running.runner import images_together
from attention.spec import Ablation, Pictures, Preprocess, Variant
from server.engine.local import LocalEngine, LocalLab
from server.settings import Settings
from tests.attention.direct_lab import DirectLab
from tests.attention.weights.checkpoint_files import write

SE = Variant.parse("resnet20(width=4)/se")
ECA = Variant.parse("resnet20(width=4)/eca")
IDS = tuple(sample.id for sample in samples())


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalEngine]:
    engine = LocalEngine(Settings(data=tmp_path_factory.mktemp("data"), device="cpu", threads=1, max_batch_size=4))
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def lab(engine: LocalEngine) -> LocalLab:
    return engine.lab()


@pytest.fixture(scope="module")
def images() -> Tensor:
    asked = Pictures(images=IDS[:6])
    ((_, inputs),) = batches(asked, Preprocess(size=32, resize=32), Files(Path("nowhere")))
    return inputs


@pytest.mark.full
def test_each_ablation_gives_what_the_naive_lab_gives(lab: LocalLab, images: Tensor, tmp_path: Path) -> None:
    naive = DirectLab(tmp_path)
    paths = [site.path for site in naive.forward(SE, images[:1]).sites]
    ablations = [Ablation(kind="constant", value=0.9, gates=(path,)) for path in paths] + [Ablation(kind="shuffle")]
    found, truth = lab.forward_each(SE, images, ablations), naive.forward_each(SE, images, ablations)
    torch.testing.assert_close(found, truth, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(found[0], lab.forward(SE, images).logits, rtol=1e-5, atol=1e-6)
    alone = torch.cat([lab.forward_each(SE, image[None], ablations) for image in images], 1)
    torch.testing.assert_close(found, alone, rtol=1e-5, atol=1e-6)


def test_the_mean_of_reference_images_is_put_in(lab: LocalLab, images: Tensor) -> None:
    seen = lab.forward(SE, images).gates
    mean = Ablation(kind="mean", reference=Pictures(images=IDS[:6]))
    put = lab.forward(SE, images[:2], mean).gates
    first = next(iter(seen))
    for number in range(2):
        torch.testing.assert_close(put[first][number], seen[first].mean(0), rtol=1e-5, atol=1e-6)
    together = lab.forward_each(SE, images, [mean])
    torch.testing.assert_close(together[1], lab.forward(SE, images, mean).logits, rtol=1e-5, atol=1e-6)


@pytest.mark.full
def test_every_image_gets_the_gates_of_another_one_and_always_of_the_same(lab: LocalLab, images: Tensor) -> None:
    seen = lab.forward(ECA, images).gates
    other = Ablation(kind="other_image", reference=Pictures(images=IDS[:6]))
    put, again = (lab.forward(ECA, images, other).gates for _ in range(2))
    first = next(iter(seen))
    partners = []
    for number, gate in enumerate(put[first]):
        (partner,) = (index for index, own in enumerate(seen[first]) if torch.allclose(gate, own, atol=1e-6))
        assert partner != number
        partners.append(partner)
    assert len(set(partners)) > 1  # not one partner for all
    assert all(torch.equal(put[path], again[path]) for path in put)
    moved = lab.forward(ECA, images, other.model_copy(update={"seed": 1})).gates
    assert not torch.equal(moved[first], put[first])
    alone = lab.forward(ECA, images[3:4], other)
    together = lab.forward_each(ECA, images, [other, Ablation(kind="scalar")])
    torch.testing.assert_close(together[1, 3:4], alone.logits, rtol=1e-5, atol=1e-6)


def test_a_network_of_ones_own_can_be_differentiated_and_changed(lab: LocalLab, images: Tensor) -> None:
    before = lab.forward(SE, images).logits
    own = lab.network(SE)
    assert not own.training and gates(own)
    own(images).sum().backward()
    with torch.no_grad():
        for parameter in own.parameters():
            assert parameter.grad is not None
            parameter.zero_()
    torch.testing.assert_close(lab.forward(SE, images).logits, before)


def test_many_ablations_take_fewer_images_at_a_time() -> None:
    assert images_together(1, (3, 224, 224)) > images_together(100, (3, 224, 224)) == 1


@pytest.mark.full
def test_a_checkpoint_that_is_replaced_is_another_network_to_the_next_question(
    engine: LocalEngine, images: Tensor
) -> None:
    named = Variant.parse("resnet20(width=4)/se?classes=10&weights=file:mine")
    mean = Ablation(kind="mean", reference=Pictures(images=IDS[:3]))
    folder = engine.files.root / "checkpoints"
    folder.mkdir(exist_ok=True)
    answers = []
    for seed in (1, 2):
        write(folder / "mine.safetensors", build(Variant.parse(f"resnet20(width=4)/se?seed={seed}")).state_dict())
        lab = engine.lab()  # one for each question
        answers += [lab.forward(named, images[:1]).logits, lab.forward(named, images[:1], mean).logits]
        truth = build(Variant.parse(f"resnet20(width=4)/se?seed={seed}"))(images[:1])
        torch.testing.assert_close(answers[-2], truth, rtol=1e-5, atol=1e-6)
    assert not torch.allclose(answers[0], answers[2], atol=1e-3)
    assert not torch.allclose(answers[1], answers[3], atol=1e-3)  # nor are its gates of old ones


@pytest.mark.full
def test_more_images_than_may_wait_are_run_all_the_same(lab: LocalLab, images: Tensor) -> None:
    """They are handed in a batch at a time, also under many ablations, so one question never fills the queue."""
    many = images.repeat(50, 1, 1, 1)  # 300, where 32 workers may have 128 waiting together
    found = lab.forward_each(SE, many, [Ablation(kind="scalar")])
    assert found.shape[:2] == (2, 300)
    torch.testing.assert_close(found[:, :6], found[:, -6:], rtol=1e-5, atol=1e-6)
    assert lab.forward(SE, many).logits.shape[0] == 300
