"""How large a question may be: refused before memory is taken, by every route, whichever engine there is."""

import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from starlette.testclient import TestClient
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from attention.analyses import analyses, request_type
from attention.backbones import backbones
from attention.counting import cost
from attention.counting.cost import count
from attention.data.files import samples
from attention.errors import TooLarge
from attention.models import own_models
from attention.models.own_models import OwnModel
from attention.modules import modules
from attention.registry.options import schema
from attention.reports.compare import CompareRequest
from attention.reports.latency import LatencyRequest
from attention.reports.parts.grid import Grid
from attention.reports.study import StudyRequest
from attention.reports.sweep import SweepRequest
from attention.spec import Request, Variant
from server.answers.size_limits import check_at_once, check_networks
from server.app import create_app
from server.settings import Settings
from server.stored.references import images, variants
from tests.attention.models.own import Classifier
from tests.server.conftest import photo

RESNET18 = 11_689_512
"""Parameters of torchvision's ResNet-18."""

RESNET18_BUFFERS = 2 * 4_800
"""A mean and a variance for each of its 4,800 normalised channels."""

HUGE = "resnet152(inner_width=4.0,width=4.0)/se?classes=100000"

PHOTO = samples()[0].id


def asked_of(*names: str, **more: Any) -> CompareRequest:
    return CompareRequest.model_validate({"images": [PHOTO], "variants": names, **more})


def test_the_limit_is_the_bytes_of_parameters_and_buffers(settings: Settings) -> None:
    size = 4 * (RESNET18 + RESNET18_BUFFERS)
    check_networks(asked_of("resnet18/none"), settings.model_copy(update={"max_network_bytes": size}))
    with pytest.raises(TooLarge, match="resnet18/none.* has 11,689,512 parameters, 46.8 MB in float32"):
        check_networks(asked_of("resnet18/none"), settings.model_copy(update={"max_network_bytes": size - 1}))


@pytest.mark.full
def test_everything_in_the_catalogue_is_built_by_default() -> None:
    names = [f"{backbone}/se@tail" for backbone in backbones]
    names += [f"resnet18/{name}@published" for name in modules]
    names += ["resnet152/cbam", "resnet101(inner_width=2)/none", "vgg11_small(width=4)/se", "resnet50/danet@standard"]
    for name in names:
        check_at_once(asked_of(name), Settings())


@pytest.mark.full
def test_a_question_is_refused_before_it_takes_memory(client: TestClient) -> None:
    client.post("/v1/cost", json={"variants": ["resnet152/se"]})  # imports torch's counters
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answer = client.post("/v1/compare", json={"images": [PHOTO], "variants": [HUGE]})
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KiB; the network has 41 GB
    assert answer.status_code == 413
    detail = answer.json()["detail"]
    assert "parameters, 40.8 GB" in detail and "up to 2.0 GB are built here" in detail
    assert "ATTENTION_MAX_NETWORK_BYTES" in detail


class NoEngine:
    """An engine that may not be asked anything."""

    device, alive, metrics = "none", True, None

    def __init__(self, settings: Settings) -> None:
        from attention.data.files import Files

        self.files = Files(settings.folder)

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"The engine was asked: {name}")


@pytest.fixture(scope="module")
def without_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    settings = Settings(data=tmp_path_factory.mktemp("sizes"), device="cpu")
    engine: Any = NoEngine(settings)
    with TestClient(create_app(settings, engine)) as client:
        yield client


def questions() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every analysis that builds networks it is told, with a question about one that is too large."""
    for name, analysis in analyses.items():
        kind = request_type(analysis)
        fields = kind.model_fields
        if kind.counts_only or not {"variant", "variants"} & fields.keys():
            continue
        asked: dict[str, Any] = {"data": "pets"} if "data" in fields else {}
        for field in ("images", "pictures"):
            if field in fields:
                asked[field] = [PHOTO]
        if "image" in fields:
            asked["image"] = PHOTO
        if "gate" in fields:
            asked["gate"] = "layer1.0.standard.0.gate"
        if "photos" in fields:
            asked |= {"photos": [PHOTO], "own": {"data": "pets"}}
        asked |= {"variant": HUGE} if "variant" in fields else {"variants": ["resnet20/se", HUGE]}
        yield name, asked


@pytest.mark.full
@pytest.mark.parametrize(
    ("name", "asked"), list(questions()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_no_route_lets_a_network_pass_that_is_too_large(
    without_engine: TestClient, name: str, asked: dict[str, Any]
) -> None:
    for path, body in ((f"/v1/{name}", asked), ("/v1/jobs", {"analysis": name, "request": asked})):
        answer = without_engine.post(path, json=body)
        assert answer.status_code == 413, answer.text
        assert answer.json()["detail"].startswith("The network resnet152(inner_width=4.0,width=4.0)/se")


def test_the_analyses_that_build_what_they_are_told_are_these() -> None:
    built = {name for name, _ in questions()}
    assert {"compare", "cam", "study", "sweep", "fold", "latency", "whatif", "scale", "stripe"} <= built
    assert not built & {"cost", "court", "match", "places"}


def test_what_a_large_network_costs_is_told_without_building_it(client: TestClient) -> None:
    answer = client.post("/v1/cost", json={"variants": [HUGE]})
    assert answer.status_code == 200
    assert answer.json()["variants"][0]["total"]["parameters"] > 10e9


@pytest.mark.full
def test_a_question_that_is_asked_again_is_held_to_the_limits_of_now(settings: Settings) -> None:
    with TestClient(create_app(settings)) as client:
        report = client.post("/v1/compare", json={"images": [PHOTO], "variants": ["se"]}).headers["Report-Id"]
    with TestClient(create_app(settings.model_copy(update={"max_network_bytes": 1000}))) as client:
        assert client.post(f"/v1/reports/{report}/again").status_code == 413


def test_a_users_model_that_takes_anothers_place_is_counted_anew(settings: Settings) -> None:
    asked = asked_of("own(name=mine)/none")
    try:
        own_models.add(OwnModel("mine", lambda: Classifier(5)))
        check_networks(asked, settings)
        own_models.add(OwnModel("mine", lambda: Classifier(50_000)))
        with pytest.raises(TooLarge, match="parameters"):
            check_networks(asked, settings.model_copy(update={"max_network_bytes": 100_000}))
    finally:
        own_models.remove("mine")


def test_a_pass_is_as_large_as_its_batch_and_its_images(settings: Settings) -> None:
    def timed(**more: int) -> LatencyRequest:
        return LatencyRequest.model_validate({"variants": ["resnet50/none"], **more})

    check_networks(timed(batch=32), settings)
    with pytest.raises(TooLarge, match="1024 images of 1024 x 1024 pixels through resnet50/none.* keeps .* GB"):
        check_networks(timed(batch=1024, input_size=1024), settings)


def test_a_training_step_keeps_every_output_until_it_went_back(settings: Settings) -> None:
    def study(batch: int, size: int) -> StudyRequest:
        recipe = {"batch_size": batch}
        return StudyRequest.model_validate(
            {"data": "pets", "variants": ["resnet50/none", "resnet50/se"], "recipe": recipe, "size": size}
        )

    check_networks(study(128, 224), settings)  # as on one large GPU
    with pytest.raises(TooLarge, match="for training"):
        check_networks(study(65_536, 512), settings)


def test_networks_inside_grids_and_in_other_fields_are_counted() -> None:
    grid = Grid.model_validate({"base": "resnet20/se", "vary": {"backbone_options.width": [8, 1024]}})
    study = StudyRequest(data="pets", grids=(grid,))
    assert sum("width=1024" in variant.name for variant in variants(study)) == 1
    with pytest.raises(TooLarge, match="width=1024"):
        check_networks(study, Settings())
    timed = LatencyRequest.model_validate({"variants": ["resnet20/se"], "baseline": HUGE})
    with pytest.raises(TooLarge, match="resnet152"):
        check_networks(timed, Settings())


def test_a_line_of_json_does_not_stand_for_a_million_networks() -> None:
    vary = {f"options.a{number}": list(range(32)) for number in range(4)}
    with pytest.raises(ValidationError, match="1,048,576 networks"):
        Grid.model_validate({"base": "resnet20/se", "vary": vary})


def test_images_are_counted_wherever_they_are_named() -> None:
    ids = ["0" * 64, "1" * 64]
    ablation = {"kind": "mean", "reference": {"data": "pets", "limit": 300}}
    assert images(asked_of("se", ablation=ablation)) == 301
    data = {"data": "pets", "limit": 500}
    sweep = SweepRequest.model_validate({"variant": "se", "images": data, "calibration": ids})
    assert images(sweep) == 502
    assert images(asked_of("se")) == 1


def test_what_nobody_can_wait_for_is_asked_as_a_job(client: TestClient) -> None:
    asked = {"variant": "resnet50/se", "pictures": {"data": "pets", "limit": 20_000}}
    answer = client.post("/v1/excitation", json=asked)
    assert answer.status_code == 413
    assert "up to 20,000 images" in answer.json()["detail"] and "POST /v1/jobs" in answer.json()["detail"]
    small = {**asked, "variant": "resnet20/se"}  # 41 million multiply-accumulates instead of 4 billion
    assert client.post("/v1/excitation", json=small).status_code == 404  # no such data set: it was let in


@pytest.mark.full
def test_more_work_is_a_job(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, device="cpu", threads=1, jobs=0, max_answer_gmacs=0.05)
    with TestClient(create_app(settings)) as client:
        ids = [client.post("/v1/images", content=photo(seed)).json()["id"] for seed in range(2)]
        asked = {"images": ids, "variants": ["resnet20/se"]}
        assert client.post("/v1/compare", json={**asked, "images": ids[:1]}).status_code == 200  # 0.041
        assert client.post("/v1/compare", json=asked).status_code == 413
        assert client.post("/v1/jobs", json={"analysis": "compare", "request": asked}).status_code == 202


@pytest.mark.parametrize("name", [*modules, *backbones])
def test_every_number_that_may_be_chosen_has_bounds(name: str) -> None:
    made = modules[name] if name in modules else backbones[name]
    for option, field in schema(made).get("properties", {}).items():
        for kind in field.get("anyOf", [field]):
            if kind.get("type") in ("integer", "number") and not {"enum", "const"} & kind.keys():
                assert {"minimum", "exclusiveMinimum"} & kind.keys(), option
                assert {"maximum", "exclusiveMaximum"} & kind.keys(), option


class Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts what is done with tensors inside, and the numbers that are worked out."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = self.numbers = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        self.count += 1
        for tensor in tree_leaves(made):
            if isinstance(tensor, torch.Tensor) and tensor.device.type != "meta":
                self.numbers += tensor.numel()
        return made


def counting(name: str) -> Operations:
    """What counting a network takes that was not counted before."""
    cost._count.cache_clear()
    with Operations() as operations:
        count(Variant.parse(name), None)
    return operations


@pytest.mark.full
@pytest.mark.parametrize(
    ("name", "usual"),
    [
        ("resnet50/eca(gamma=0.01,b=100)", "resnet50/eca"),
        ("resnet50/se(reduction=1)@pre", "resnet50/se@pre"),
        (HUGE, "resnet152/se?classes=10"),
    ],
)
def test_at_its_bounds_a_network_is_counted_with_the_work_of_a_usual_one(
    client: TestClient, name: str, usual: str
) -> None:
    assert client.post("/v1/cost", json={"variants": [name]}).status_code == 200
    bounds, common = counting(name), counting(usual)
    assert common.count > 100 and bounds.count <= 1.1 * common.count
    assert bounds.numbers <= common.numbers + 100  # nothing that grows with the network


def test_a_question_says_that_it_only_counts() -> None:
    kinds: list[type[Request[Any]]] = [request_type(analysis) for analysis in analyses.values()]
    counting = {kind.analysis for kind in kinds if kind.counts_only}
    assert counting == {"cost", "court", "fit", "kernel", "match", "overview", "places", "plan", "published"}
    assert Variant.parse(HUGE) in set(variants(asked_of(HUGE)))
