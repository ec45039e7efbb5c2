"""Gates of reference images: the mean is the mean, an image gets another one's gates, and never its own."""

import pytest
import torch

from attention.errors import InvalidRequest
from attention.running.reference_gates import ReferenceGates


def test_the_mean_of_batches_is_the_mean_of_all_their_images() -> None:
    gates = torch.rand(7, 3, generator=torch.Generator().manual_seed(0))
    references = ReferenceGates()
    for part in torch.split(gates, 3):
        references.add(torch.zeros(len(part), 3, 2, 2), {"gate": part}, average=True)
    averaged = references.averaged()
    for seed in (0, 1):
        put_in = averaged.gates_for(torch.rand(3, 2, 2), seed)["gate"]
        torch.testing.assert_close(put_in, gates.mean(0, keepdim=True))


def test_an_image_gets_the_gates_of_another_one_and_the_same_each_time() -> None:
    images = torch.rand(5, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    gates = torch.arange(5.0)[:, None]
    references = ReferenceGates()
    references.add(images, {"gate": gates}, average=False)
    partners = [[int(references.gates_for(image, seed)["gate"]) for seed in range(20)] for image in images]
    assert all(number not in others and len(set(others)) > 1 for number, others in enumerate(partners))
    assert partners == [[int(references.gates_for(image, seed)["gate"]) for seed in range(20)] for image in images]


def test_an_image_whose_only_references_are_itself_is_refused() -> None:
    images = torch.rand(2, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    references = ReferenceGates()
    references.add(images[:1].repeat(2, 1, 1, 1), {"gate": torch.ones(2, 3)}, average=False)
    with pytest.raises(InvalidRequest, match="this image itself"):
        references.gates_for(images[0], seed=0)
    assert references.gates_for(images[1], seed=0)["gate"].shape == (1, 3)
