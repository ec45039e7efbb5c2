"""Builders of a user's models: what they may ask for, and how long others wait for them."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from attention.build import build
from attention.errors import InvalidRequest
from attention.models import own_models
from attention.models.own_models import OwnModel
from attention.models.seeding import SEEDING
from attention.spec import Variant
from tests.attention.models.own import SIDE, Classifier

PLAIN = Variant.parse("resnet20(width=4)/none")


@pytest.fixture(autouse=True)
def _no_models_are_left() -> Iterator[None]:
    yield
    for name in own_models.names():
        own_models.remove(name)


def test_a_builder_may_have_networks_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_models, "BUILT_WITHIN_S", 10.0)
    made = OwnModel("mine", lambda: build(PLAIN)).module
    assert all(torch.equal(one, other) for one, other in zip(made.parameters(), build(PLAIN).parameters(), strict=True))


@pytest.mark.full
def test_a_builder_may_have_another_model_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_models, "BUILT_WITHIN_S", 30.0)
    own_models.add(OwnModel("inner", Classifier, size=SIDE))
    outer = OwnModel("outer", lambda: build(Variant.parse("own(name=inner)/none")), size=SIDE)
    with SEEDING:  # as while a network of it is made
        assert isinstance(outer.module.get_submodule("body"), Classifier)


def test_a_builder_that_asks_for_its_own_model_is_refused() -> None:
    model = OwnModel("mine", lambda: model.module)
    with pytest.raises(InvalidRequest, match="asks for that model itself"):
        model.module  # noqa: B018
    assert not own_models._being_made


def test_a_model_is_made_once_though_two_threads_ask() -> None:
    times: list[int] = []

    def make() -> nn.Module:
        times.append(1)
        time.sleep(0.05)
        return Classifier()

    model = OwnModel("mine", make)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: model.module, range(2))
    assert first is second and len(times) == 1


def test_nobody_waits_for_a_builder_whose_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_models, "BUILT_WITHIN_S", 0.05)

    def make() -> nn.Module:
        with SEEDING:
            time.sleep(0.5)
        return Classifier()

    with pytest.raises(InvalidRequest, match="takes longer"):
        OwnModel("mine", make).module  # noqa: B018
    began = time.monotonic()
    with SEEDING:
        assert time.monotonic() - began < 0.2
