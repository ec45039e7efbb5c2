"""The hub: fetched once, then found in the cache, or refused with a sentence. The client meets a local server."""

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from attention.build import build
from attention.data.files import Files
from attention.errors import BadCheckpoint
from attention.network import describe
from attention.spec import Preprocess, Variant
from attention.weights.find import Checkpoints
from attention.weights.hub import TORCHVISION, Hub, unreachable
from tests.attention.weights.checkpoint_files import Bomb, logits, report_of, trained, write
from tests.attention.weights.hub_server import COMMIT, Server, needs_client, serving

HAS_HUB = find_spec("huggingface_hub") is not None


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with serving() as address:
        yield address


def test_a_hub_that_is_limited_to_some_owners_asks_nobody_else(tmp_path: Path) -> None:
    hub = Hub(tmp_path, owners=("timm",))
    with pytest.raises(BadCheckpoint, match="'mallory/net' is not fetched here: repositories of timm are"):
        hub("mallory/net", "model.safetensors", None)


def test_a_service_fetches_into_its_own_folder_and_from_known_publishers(tmp_path: Path) -> None:
    assert Files(tmp_path).checkpoints.fetch == Hub(tmp_path / "hub", ("timm",))


def test_torchvisions_names_lead_to_repositories_named_after_their_architecture() -> None:
    for name, repository in TORCHVISION.items():
        architecture = name.partition("_Weights.")[0].lower()
        suffix = "tv2_in1k" if name.endswith("V2") else "tv_in1k"
        assert repository == f"timm/{architecture}.{suffix}"


@pytest.mark.skipif(HAS_HUB, reason="huggingface-hub is installed")
def test_without_the_client_a_sentence_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(BadCheckpoint, match=r"pip install 'attention-lab\[hub\]'"):
        build(Variant.parse("resnet50/none?weights=hub:timm/resnet50.a1_in1k"), Files(tmp_path).checkpoints)


def cached(cache: Path, repository: str) -> Path:
    """The folder of a repository's files in a cache, laid out as the hub's client does."""
    home = cache / f"models--{repository.replace('/', '--')}"
    (home / "refs").mkdir(parents=True)
    (home / "refs" / "main").write_text(COMMIT)
    folder = home / "snapshots" / COMMIT
    folder.mkdir(parents=True)
    return folder


@pytest.mark.full
@needs_client
def test_what_is_in_the_cache_needs_no_network(tmp_path: Path) -> None:
    model = trained("resnet20/none")
    write(cached(tmp_path, "timm/tiny") / "model.safetensors", model.state_dict())
    (cached(tmp_path, "timm/other") / "config.json").write_text("{}")
    for name in ("timm/tiny", f"timm/tiny@{COMMIT}"):
        variant = Variant.parse("resnet20/none").model_copy(update={"weights": f"hub:{name}"})
        checkpoints = Checkpoints(fetch=Offline(tmp_path))
        assert torch.equal(logits(build(variant, checkpoints)), logits(model))
        report = describe(variant, checkpoints).load
        assert report and report.revision == COMMIT
    with pytest.raises(BadCheckpoint, match=r"model\.safetensors of 'timm/other' is not in the cache, and the network"):
        Hub(tmp_path, offline=True)("timm/other", "model.safetensors", None)


class Offline(Hub):
    """A cache that knows that what it does not have is not there."""

    def __call__(self, repository: str, file: str, revision: str | None = None) -> Path | None:
        found = importlib.import_module("huggingface_hub").try_to_load_from_cache(
            repository, file, cache_dir=self.cache, revision=revision
        )
        return Path(found) if isinstance(found, str) else None


@needs_client
def test_a_file_that_is_known_not_to_be_there_is_not_asked_for_again(tmp_path: Path) -> None:
    cached(tmp_path, "timm/tiny")
    absent = tmp_path / "models--timm--tiny" / ".no_exist" / COMMIT
    absent.mkdir(parents=True)
    (absent / "model.safetensors").touch()
    assert Hub(tmp_path, offline=True)("timm/tiny", "model.safetensors", None) is None


ASK = """
import json, sys
from pathlib import Path
from attention.errors import BadCheckpoint
from attention.weights.hub import Hub
hub, answers = Hub(Path(sys.argv[1])), {}
for name in sys.argv[2:]:
    repository, _, revision = name.partition("@")
    try:
        path = hub(repository, "model.safetensors", revision or None)
        answers[name] = str(path) if path else None
    except BadCheckpoint as error:
        answers[name] = f"refused: {error}"
print(json.dumps(answers))
"""
"""Asks the hub in a process of its own, because the client reads where the hub is when it is imported."""


def ask(endpoint: str, cache: Path, *names: str) -> dict[str, str | None]:
    env = {**os.environ, "HF_ENDPOINT": endpoint, "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    env |= {"HF_HOME": str(cache / "home"), "NO_PROXY": "127.0.0.1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    env.pop("HF_HUB_OFFLINE", None)
    done = subprocess.run(
        [sys.executable, "-c", ASK, str(cache), *names], env=env, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    answers: dict[str, str | None] = json.loads(done.stdout.splitlines()[-1])
    return answers


@pytest.mark.full
@needs_client
def test_a_checkpoint_is_fetched_once(endpoint: str, tmp_path: Path) -> None:
    model = trained("resnet20/none")
    Server.weights = write(tmp_path / "source.safetensors", model.state_dict()).read_bytes()
    Server.asked.clear()
    first = ask(endpoint, tmp_path / "cache", "timm/tiny")["timm/tiny"]
    assert first and Path(first).read_bytes() == Server.weights
    assert any(line.startswith("GET") for line in Server.asked)
    Server.asked.clear()
    assert ask(endpoint, tmp_path / "cache", "timm/tiny")["timm/tiny"] == first
    assert Server.asked == []


@pytest.mark.full
@needs_client
def test_what_cannot_be_fetched_gets_a_sentence(endpoint: str, tmp_path: Path) -> None:
    expected = {
        "timm/pickled": None,
        "timm/gone": "There is no repository 'timm/gone' on the hub that can be read here.",
        "timm/private": "There is no repository 'timm/private' on the hub",
        "timm/gated": "The repository 'timm/gated' is gated: ask its owner for access",
        "timm/tiny@v9": "The repository 'timm/tiny' has no revision 'v9'.",
        "timm/huge": "model.safetensors of 'timm/huge' has 1,099,511,627,776 bytes; at most 1,073,741,824 are fetched.",
        "timm/broken": "model.safetensors of 'timm/broken' cannot be fetched",
    }
    answers = ask(endpoint, tmp_path, *expected)
    for name, sentence in expected.items():
        answer = answers[name]
        assert (answer is None) if sentence is None else (answer and answer.startswith(f"refused: {sentence}")), answer
        assert answer is None or (answer.endswith(".") and "\n" not in answer)


@pytest.mark.full
@needs_client
def test_without_a_network_a_sentence_says_so(tmp_path: Path) -> None:
    answer = ask("http://127.0.0.1:9", tmp_path, "timm/tiny")["timm/tiny"]
    assert answer and answer.startswith("refused: model.safetensors of 'timm/tiny' cannot be fetched")


# ---------------------------------------------------------------- the hub, through a function


def hub_of(folder: Path) -> Checkpoints:
    """Checkpoints whose hub is a folder: OWNER/NAME/FILE, as the cache would give them."""

    def fetch(repository: str, file: str, revision: str | None) -> Path | None:
        path = folder / repository / file
        return path if path.exists() else None

    return Checkpoints(fetch=fetch)


CONFIG = {
    "architecture": "resnet20",
    "num_classes": 10,
    "pretrained_cfg": {
        "input_size": [3, 40, 40],
        "crop_pct": 0.8,
        "mean": [0.5, 0.5, 0.5],
        "std": [0.25, 0.25, 0.25],
    },
    "label_names": list("abcdefghij"),
}


@pytest.mark.full
def test_a_published_checkpoint_brings_its_preprocessing_and_labels(tmp_path: Path) -> None:
    write(tmp_path / "timm" / "tiny" / "model.safetensors", trained("resnet20/none").state_dict())
    (tmp_path / "timm" / "tiny" / "config.json").write_text(json.dumps(CONFIG))
    checkpoints, variant = hub_of(tmp_path), Variant.parse("resnet20/none?classes=10&weights=hub:timm/tiny")
    assert torch.equal(logits(build(variant, checkpoints)), logits(trained("resnet20/none")))
    expected = Preprocess(size=40, resize=50, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25), rounding="torchvision")
    assert describe(variant, checkpoints).preprocess == expected
    assert describe(variant, checkpoints).labels == tuple("abcdefghij")
    assert report_of(variant.name, checkpoints).architecture == "resnet20"


@pytest.mark.parametrize(
    "config", [None, "{", "[]", "{}", '{"pretrained_cfg": {"input_size": [3, 0, 0], "crop_pct": 0}}']
)
def test_a_configuration_that_says_nothing_leaves_the_backbones_own_preprocessing(
    tmp_path: Path, config: str | None
) -> None:
    write(tmp_path / "timm" / "tiny" / "model.safetensors", trained("resnet20/none").state_dict())
    if config is not None:
        (tmp_path / "timm" / "tiny" / "config.json").write_text(config)
    variant = Variant.parse("resnet20/none?weights=hub:timm/tiny")
    assert describe(variant, hub_of(tmp_path)).preprocess == describe(Variant.parse("resnet20/none")).preprocess


def test_a_publishers_other_name_for_the_network_is_told(tmp_path: Path) -> None:
    write(tmp_path / "timm" / "tiny" / "model.safetensors", trained("resnet20/none").state_dict())
    (tmp_path / "timm" / "tiny" / "config.json").write_text(json.dumps({"architecture": "resnet20_silu"}))
    report = report_of("resnet20/none?weights=hub:timm/tiny", hub_of(tmp_path))
    assert report.notes == ("Its publisher calls the network 'resnet20_silu'; here it is resnet20/none.",)


def test_a_repository_with_pickles_only_gets_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "some" / "net").mkdir(parents=True)
    torch.save({"bomb": Bomb()}, tmp_path / "some" / "net" / "pytorch_model.bin")
    with pytest.raises(BadCheckpoint, match=r"'some/net' has no model\.safetensors\. Only safetensors are read"):
        build(Variant.parse("resnet20/none?weights=hub:some/net"), hub_of(tmp_path))
    assert not Bomb.went_off


def test_a_file_and_a_revision_may_be_named() -> None:
    asked: list[tuple[str, str, str | None]] = []

    def fetch(repository: str, file: str, revision: str | None) -> Path | None:
        asked.append((repository, file, revision))
        return None

    for name in ("hub:a/b/old/net.safetensors@v1.0", "hub:a/b@v2", "hub:ResNet50_Weights.IMAGENET1K_V2"):
        with pytest.raises(BadCheckpoint):
            Checkpoints(fetch=fetch).find(name)
    assert asked == [
        ("a/b", "old/net.safetensors", "v1.0"),
        ("a/b", "model.safetensors", "v2"),
        ("timm/resnet50.tv2_in1k", "model.safetensors", None),
    ]


@pytest.mark.full
def test_without_a_way_to_fetch_the_hub_is_refused() -> None:
    with pytest.raises(BadCheckpoint, match="nothing is fetched from the hub"):
        build(Variant.parse("resnet50/none?weights=hub:timm/resnet50.a1_in1k"))


def test_a_published_name_is_a_variants_name_and_back() -> None:
    for said in (
        "hub:timm/resnet50.a1_in1k",
        "hub:a/b/c.safetensors@abc",
        "file:net-1=2.b",
        "hub:ResNet50_Weights.IMAGENET1K_V2",
    ):
        variant = Variant(backbone="resnet50", weights=said)
        assert Variant.parse(variant.name) == variant


@pytest.mark.parametrize("name", ["HTTP_PROXY", "ALL_PROXY"])
def test_behind_a_proxy_the_hub_is_not_tried_by_ourselves(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for known in ("http_proxy", "all_proxy", "no_proxy", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(known, raising=False)
    address = "http://127.0.0.1:9"  # where nobody listens
    assert unreachable(address) == "127.0.0.1 cannot be reached from this machine now."
    monkeypatch.setenv(name, "http://proxy.example:3128")
    assert unreachable(address) is None
