"""Questions about trained gates over HTTP: the engine answers as a plain forward pass does."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from attention.analyses import run
from attention.data.files import samples
from attention.reports.coupling import CouplingRequest
from attention.reports.excitation import ExcitationRequest
from attention.reports.permutation import PermutationRequest
from attention.reports.scale import ScaleRequest
from attention.reports.stripe import StripeRequest
from attention.spec import Request
from server.settings import Settings
from tests.attention.direct_lab import DirectLab

PHOTOS = tuple(sample.id for sample in samples()[:3])

QUESTIONS: tuple[tuple[type[Request[Any]], dict[str, Any]], ...] = (
    (ExcitationRequest, {"variant": "eca", "pictures": PHOTOS, "channels": 8}),
    (StripeRequest, {"pictures": PHOTOS, "columns": 8}),
    (CouplingRequest, {"image": PHOTOS[0], "shown": 4}),
    (PermutationRequest, {"modules": ["eca", "se"], "variants": ["eca"], "image": PHOTOS[0]}),
    (ScaleRequest, {"variant": "resnet20(width=4)/sk@spatial:3", "pictures": PHOTOS}),
)


def alike(one: Any, other: Any) -> None:
    """The same, but for the last digits of float32."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one.keys() - {"device"}:
            alike(one[key], other[key])
    elif isinstance(one, list):
        assert len(one) == len(other)
        for left, right in zip(one, other, strict=True):
            alike(left, right)
    elif isinstance(one, float):
        assert one == pytest.approx(other, rel=2e-3, abs=2e-4)
    else:
        assert one == other


@pytest.mark.full
@pytest.mark.parametrize(("kind", "asked"), QUESTIONS)
def test_the_service_answers_what_a_plain_forward_pass_gives(
    client: TestClient, settings: Settings, kind: type[Request[Any]], asked: dict[str, Any]
) -> None:
    answer = client.post(f"/v1/{kind.analysis}", json=asked)
    assert answer.status_code == 200, answer.text
    alike(answer.json(), run(kind(**asked), DirectLab(settings.folder)).model_dump(mode="json"))


@pytest.mark.full
@pytest.mark.parametrize(
    ("path", "asked", "sentence"),
    [
        ("excitation", {"variant": "none", "pictures": PHOTOS}, "no gates"),
        ("stripe", {"pictures": PHOTOS[:1]}, "at least two"),
        ("scale", {"variant": "resnet20/eca?weights=shipped", "pictures": PHOTOS}, "such as resnet20/sk"),
        ("coupling", {"variant": "resnet20/danet", "image": PHOTOS[0]}, "between pairs"),
        ("permutation", {"modules": ["ecaa"]}, "Did you mean 'eca'"),
    ],
)
def test_what_cannot_be_answered_is_a_sentence(
    client: TestClient, path: str, asked: dict[str, Any], sentence: str
) -> None:
    answer = client.post(f"/v1/{path}", json=asked)
    assert answer.status_code in (404, 422)
    assert answer.headers["content-type"] == "application/problem+json" and sentence in answer.json()["detail"]
