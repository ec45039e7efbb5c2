"""Names of the field and names of before lead to the right thing, from a link, a file of weights, a study."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from attention.backbones import backbones
from attention.build import resolve
from attention.errors import AttentionError, BadOption, UnknownName
from attention.modules import modules
from attention.registry.aliases import Names, canonical, combined, find, former_spellings, letters, renamings
from attention.spec import Recipe, Variant
from attention.training.study import Task

ROOT = Path(__file__).parents[3]

KNOWN = (
    Names("coord", aliases=("CA",), former=("coordinate",), former_options={"ratio": "reduction"}),
    Names("fca", aliases=("FcaNet",)),
    Names("se", aliases=("SENet",), option_aliases={"r": "reduction"}),
    Names("scse", aliases=("SE-Net",)),
)
BODIES = (Names("resnet50"), Names("resnet18"))


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("coord", "coord"),
        ("CA", "coord"),
        ("ca", "coord"),
        ("Fca-Net", "fca"),
        ("coordinate", "coord"),
        ("SENet", "se"),
        ("SE-Net", "scse"),
        ("sEnEt", None),  # of two things: said exactly, each is clear
        ("cat", None),
    ],
)
def test_a_name_is_found_by_its_exact_form_first_and_without_case_where_only_one_is_meant(
    name: str, meant: str | None
) -> None:
    names = find(name, KNOWN)
    assert (names.name if names else None) == meant


def test_a_former_name_is_answered_with_the_new_one_and_an_alias_is_as_good_as_the_name() -> None:
    old = Variant.parse("resnet50/coordinate(ratio=8)")
    assert canonical(old, BODIES, KNOWN) == Variant.parse("resnet50/coord(reduction=8)")
    module, option = renamings(old, BODIES, KNOWN)
    assert "'coordinate'" in module and "'coord'" in module and "'ratio'" in option and "'reduction'" in option
    field = Variant.parse("ResNet-50/senet(r=8)")
    assert canonical(field, BODIES, KNOWN).attention == "senet"  # ambiguous, so it is left to be asked about
    field = Variant.parse("ResNet-50/SENet(r=8)")
    assert canonical(field, BODIES, KNOWN) == Variant.parse("resnet50/se(reduction=8)")
    assert renamings(field, BODIES, KNOWN) == ()


def test_an_option_given_by_two_of_its_names_is_refused() -> None:
    with pytest.raises(BadOption, match="two names"):
        canonical(Variant.parse("resnet50/se(r=8,reduction=4)"), BODIES, KNOWN)


def test_every_way_in_which_a_variant_was_written_before_is_known() -> None:
    now = Variant.parse("resnet50/coord(reduction=8)@standard:4")
    before = {variant.name for variant in former_spellings(now, BODIES, KNOWN)}
    assert before == {
        "resnet50/coord(ratio=8)@standard:4",
        "resnet50/coordinate(ratio=8)@standard:4",
        "resnet50/coordinate(reduction=8)@standard:4",
    }
    assert former_spellings(Variant.parse("resnet50/none"), BODIES, KNOWN) == ()


@pytest.mark.parametrize(
    ("name", "pairs"),
    [
        ("fca_resnet50", {("resnet50", "fca")}),
        ("ResNet18-CA", {("resnet18", "coord")}),
        ("FcaNet50", {("resnet50", "fca")}),
        ("fcaresnet50d", {("resnet50", "fca")}),  # and not 'ca', which is a part of it too
        ("resnet50", set()),
        ("resnet500fca", set()),
    ],
)
def test_one_word_for_backbone_and_module_is_taken_apart(name: str, pairs: set[tuple[str, str]]) -> None:
    assert set(combined(name, BODIES, KNOWN)) == pairs


def test_no_two_things_on_a_shelf_are_meant_by_one_spelling() -> None:
    for shelf in (modules, backbones):
        meant: dict[str, str] = {}
        for names in shelf.names:
            for spelling in names.spellings:
                assert meant.setdefault(letters(spelling), names.name) == names.name, spelling
                assert shelf.canonical(spelling) == names.name


def test_what_another_name_of_an_option_stands_for_is_an_option() -> None:
    for name in modules:
        names, example = modules.names_of(name), Variant(backbone="resnet20", attention=name)
        for option in {*names.option_aliases, *names.former_options}:
            with pytest.raises(AttentionError, match=f"cannot take {names.option(option)}="):
                resolve(example.model_copy(update={"options": {option: "nonsense"}}))


# Words of the papers' titles, of their released code, and of timm's attention layers.
@pytest.mark.parametrize(
    ("asked", "module"),
    [
        ("CA", "coord"),
        ("CoordAtt", "coord"),
        ("coordinate-attention", "coord"),
        ("SENet", "se"),
        ("SE-Net", "se"),
        ("SqueezeExcite", "se"),
        ("ECANet", "eca"),
        ("ECA-Net", "eca"),
        ("EcaModule", "eca"),
        ("SKNet", "sk"),
        ("selective_kernel", "sk"),
        ("CBAM", "cbam"),
        ("DANet", "danet"),
        ("GCNet", "gc"),
        ("GlobalContext", "gc"),
        ("GENet", "ge"),
        ("gather_excite", "ge"),
        ("FcaNet", "fca"),
        ("SimAM", "simam"),
        ("SE-Var3", "se_var3"),
        ("ECA-NS", "eca_ns"),
        ("triplet_attention", "triplet"),
    ],
)
def test_the_fields_own_names_are_understood(asked: str, module: str) -> None:
    assert resolve(Variant.model_validate({"backbone": "ResNet-50", "attention": asked})).attention == module


@pytest.mark.parametrize(
    ("asked", "part"),
    [
        ("seresnet50", "resnet50/se."),
        ("SE-ResNet-50/none", "resnet50/se."),
        ("eca_resnet50", "resnet50/eca."),
        ("skresnet50", "resnet50/sk@spatial."),
        ("resnet50_cbam", "resnet50/cbam."),
        ("seresnext50_32x4d", "resnext50/se."),
        ("eca_resnet33ts", "resnet33ts/eca@inner."),
        ("ecaresnet50d", "resnet50/eca."),
        ("ecanet50", "resnet50/eca "),
        ("mobilenet_v2", "mobilenetv2/none."),
        (
            "resnet50.a1_in1k/none",
            "resnet50/none. What follows the dot names weights: add ?weights=hub:timm/resnet50.",
        ),
        ("efficientnet_b0/eca", "timm(model=efficientnet_b0)/eca@stage"),
        ("convnext_tiny", "timm(model=convnext_tiny)/none"),
        ("efficientnet_b0/none", "attention-lab[timm]" if "timm" not in backbones else "timm("),
        ("resnet50/effcient-channel-attention", "Did you mean 'eca'?"),
    ],
)
def test_a_name_that_is_none_here_leads_to_what_is_meant(asked: str, part: str) -> None:
    with pytest.raises(UnknownName) as error:
        resolve(Variant.parse(asked))
    assert part in str(error.value)


# ---------------------------------------------------------------- a module and an option are renamed in a copy

NEW, OPTION = "neighbours", "taps"

ASK = """
import json, sys, warnings
from pathlib import Path
from starlette.testclient import TestClient
from attention.build import build, resolve
from attention.reports.study import RunReport
from attention.spec import Recipe, Variant
from attention.training.study import Task, RunStore
from attention.storage.folder import FolderStore
from attention.weights.key_names import translate
from server.app import create_app
from server.settings import Settings

folder = Path(sys.argv[1])
old = Variant.parse("resnet20/eca(kernel_size=5)?classes=10")
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    now = resolve(old)
    build(Variant.parse("eca"))  # its shipped card has the former name
task = Task(variant=now, recipe=Recipe(), seed=1, data="flowers", size=32, validation=0.0, fingerprint="f")
record = RunStore(FolderStore(folder), "cpu").record(task)
ours = build(now).state_dict()
theirs = {name.replace("standard.0.", "eca."): tuple(value.shape) for name, value in ours.items()}
with TestClient(create_app(Settings(data=folder))) as http:
    cost = http.post("/v1/cost", json={"variants": ["resnet20/eca(kernel_size=5)", "resnet20/ECA-Net(k=5)"]})
    heard = http.post("/v1/interaction", json={"modules": ["eca"], "channels": 16, "kernel_size": 5})
    compare = http.post("/v1/compare", json={"images": [http.get("/v1/images").json()["images"][0]["id"]],
        "variants": ["eca", "resnet20/eca(kernel_size=5)"]})
    catalog = http.get("/v1/catalog")
print(json.dumps({
    "now": now.name, "warnings": [str(one.message) for one in caught], "record": record.model_dump(mode="json"),
    "translated": set(translate(theirs, ours, now.attention).names.values()) == set(ours),
    "answers": {"cost": cost.json(), "heard": heard.json(), "compare": compare.json(), "catalog": catalog.json()},
}))
"""


@pytest.fixture(scope="module")
def renamed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a copy of the project says with eca and its kernel_size renamed, and one run kept from before."""
    copy = tmp_path_factory.mktemp("copy")
    for package in ("attention", "server"):
        shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    file = copy / "attention" / "modules" / "eca.py"
    text = re.sub(r"\bkernel_size\b", OPTION, file.read_text("utf-8"))
    text, count = re.subn(
        r'@modules\.register\(\s*"eca",',
        f'@modules.register("{NEW}", former=("eca",), former_options={{"kernel_size": "{OPTION}"}},',
        text,
    )
    assert count == 1
    file.write_text(text, "utf-8")
    before = resolve(Variant.parse("resnet20/eca(kernel_size=5)?classes=10"))
    task = Task(variant=before, recipe=Recipe(), seed=1, data="flowers", size=32, validation=0.0, fingerprint="f")
    record = {"arm": before.name, "seed": 1, "done": True, "test_accuracy": 0.5, "curve": [], "seconds": 1.0}
    (copy / "data" / "runs").mkdir(parents=True)
    (copy / "data" / "runs" / f"{task.name}.json").write_text(json.dumps({**record, "weights": f"file:{task.name}"}))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ATTENTION_")}
    done = subprocess.run(
        [sys.executable, "-c", ASK, str(copy / "data")],
        cwd=copy,
        env={**environment, "PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


@pytest.mark.slow
def test_a_renamed_module_and_option_still_parse_with_a_warning(renamed: dict[str, Any]) -> None:
    assert renamed["now"] == f"resnet20/{NEW}({OPTION}=5)?classes=10"
    assert {
        f"The module 'eca' is called '{NEW}' now.",
        f"The option 'kernel_size' of '{NEW}' is called '{OPTION}' now.",
    } <= {*renamed["warnings"]}


@pytest.mark.slow
def test_reports_say_what_is_called_otherwise_now(renamed: dict[str, Any]) -> None:
    former, alias = renamed["answers"]["cost"]["variants"]
    assert former["name"] == alias["name"] == f"resnet20/{NEW}({OPTION}=5)?classes=10"
    assert len(former["notes"]) == 2 and alias["notes"] == []
    shipped, untrained = renamed["answers"]["compare"]["variants"]
    assert shipped["trained"] and NEW in shipped["warning"] and OPTION in untrained["warning"]


@pytest.mark.slow
def test_the_catalogue_has_former_names(renamed: dict[str, Any]) -> None:
    entries = {entry["name"]: entry for entry in renamed["answers"]["catalog"]["modules"]}
    assert entries[NEW]["names"]["former"] == ["eca"] and "ECANet" in entries[NEW]["names"]["aliases"]


@pytest.mark.slow
def test_a_run_from_before_is_not_trained_again(renamed: dict[str, Any]) -> None:
    assert renamed["record"]["test_accuracy"] == 0.5
    assert renamed["record"]["arm"] == f"resnet20/{NEW}({OPTION}=5)?classes=10"


@pytest.mark.slow
def test_questions_about_options_ask_the_shelf(renamed: dict[str, Any]) -> None:
    (heard,) = renamed["answers"]["heard"]["interactions"]
    assert heard["module"] == NEW and heard["options"] == {OPTION: 5} and heard["reach"] == 2


@pytest.mark.slow
def test_other_peoples_checkpoints_are_recognised_under_the_new_names(renamed: dict[str, Any]) -> None:
    assert renamed["translated"]
