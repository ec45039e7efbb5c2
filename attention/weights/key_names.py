"""Other people's names of parameters, and what they are called here.

Backbones have torchvision's names here, and so have most checkpoints. What differs is spelled out below: wrappers that
put a word before every name, timm's MobileNetV2, and attention, which each project keeps under an attribute of its own
in the block, and which here lies in a slot: ``layer1.0.se.fc1.weight`` is ``layer1.0.standard.0.reduce.weight``.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from attention.modules import modules
from attention.options import present, schema
from attention.reports.checkpoints import Renamed
from attention.spec import Position

Shape = tuple[int, ...]

WRAPPERS = ("module.", "_orig_mod.", "state_dict.", "model.")
"""What DataParallel, torch.compile and training scripts put before every name."""

NO_EFFECT = ("num_batches_tracked", "n_averaged", "total_ops", "total_params")
"""Counters of normalisations, of averaging, and those that a profiler leaves behind: no result depends on them."""


@dataclass(frozen=True)
class Spelling:
    """How a project names one mechanism's parameters inside a block.

    Args:
        project: whose names they are.
        module: the mechanism's name here.
        layers: layer of theirs, counted from the block -> layer of ours, counted from the module.
        also: names of modules here that have the same layers.
        position: where in the block the project puts it.
    """

    project: str
    module: str
    layers: Mapping[str, str] = field(hash=False)
    also: tuple[str, ...] = ()
    position: Position = "standard"

    @property
    def modules(self) -> tuple[str, ...]:
        """The modules here, in the names of today, whose layers it spells."""
        return tuple(modules.canonical(name) for name in (self.module, *self.also))


SPELLINGS = (
    Spelling("timm", "se", {"se.fc1": "reduce", "se.fc2": "expand"}),
    Spelling("moskomule/senet.pytorch", "se", {"se.fc.0": "reduce", "se.fc.2": "expand"}),
    Spelling("timm", "eca", {"se.conv": "conv"}, also=("ceca",)),
    Spelling("BangguWu/ECANet", "eca", {"eca.conv": "conv"}),
    Spelling("timm", "ese", {"se.fc": "fc"}),
    Spelling(
        "timm",
        "gc",
        {"se.conv_attn": "attend", "se.mlp_add.fc1": "reduce", "se.mlp_add.norm": "norm", "se.mlp_add.fc2": "expand"},
    ),
    Spelling(
        "xvjiarui/GCNet",
        "gc",
        {
            "context_block.conv_mask": "attend",
            "context_block.channel_add_conv.0": "reduce",
            "context_block.channel_add_conv.1": "norm",
            "context_block.channel_add_conv.3": "expand",
        },
    ),
    Spelling(
        "Jongchan/attention-module",
        "cbam",
        {
            "cbam.ChannelGate.mlp.1": "reduce",
            "cbam.ChannelGate.mlp.3": "expand",
            "cbam.SpatialGate.spatial.conv": "spatial.conv",
            "cbam.SpatialGate.spatial.bn": "spatial.bn",
        },
    ),
    Spelling("timm's byobnet", "se", {"attn.fc1": "reduce", "attn.fc2": "expand"}, position="inner"),
    Spelling("timm's byobnet", "eca", {"attn.conv": "conv"}, also=("ceca",), position="inner"),
    Spelling(
        "timm's byobnet",
        "gc",
        {
            "attn.conv_attn": "attend",
            "attn.mlp_add.fc1": "reduce",
            "attn.mlp_add.norm": "norm",
            "attn.mlp_add.fc2": "expand",
        },
        position="inner",
    ),
)

_BLOCK = re.compile(r"(?P<block>(?:.*\.)?(?:layer|stages\.)\d+\.\d+)\.(?P<layer>.+)\.(?P<parameter>\w+)")


def translate(found: Iterable[str], own: Iterable[str], attention: str | None) -> dict[str, str]:
    """Name in a file -> the name that it has here; a name that nothing is known of stays as it is.

    Args:
        found: the names in the file.
        own: the names of the network that they are meant for.
        attention: the network's module, whose names may be spelled in several ways.
    """
    names, there = {name: name for name in found}, set(own)
    for wrapper in WRAPPERS:
        if names and all(name.startswith(wrapper) for name in names.values()):
            names = {theirs: name.removeprefix(wrapper) for theirs, name in names.items()}
    if "features.0.0.weight" in there and "conv_stem.weight" in names.values():
        mobilenet = _timm_mobilenet(names.values())
        names = {theirs: mobilenet.get(name, name) for theirs, name in names.items()}
    names = {theirs: _in_slot(name, there, attention) for theirs, name in names.items()}
    if not there & set(names.values()):  # a whole network of timm's lies one level deeper
        names = {theirs: f"body.{name}" if f"body.{name}" in there else name for theirs, name in names.items()}
    return names


def _in_slot(name: str, own: set[str], attention: str | None) -> str:
    match = _BLOCK.fullmatch(name)
    if match is None:
        return name
    for spelling in SPELLINGS:
        if attention in spelling.modules and match["layer"] in spelling.layers:
            ours = f"{match['block']}.{spelling.position}.0.{spelling.layers[match['layer']]}"
            if f"{ours}.weight" in own:
                return f"{ours}.{match['parameter']}"
    return name


EXPANDING = {"conv_pw": "0.0", "bn1": "0.1", "conv_dw": "1.0", "bn2": "1.1", "conv_pwl": "2", "bn3": "3"}
DEPTHWISE_FIRST = {"conv_dw": "0.0", "bn1": "0.1", "conv_pw": "1", "bn2": "2"}
"""Layers of MobileNetV2's blocks, in timm -> in torchvision's ``conv``; the first block of all does not expand."""


def _timm_mobilenet(found: Iterable[str]) -> dict[str, str]:
    """timm's names of a MobileNetV2 -> torchvision's, which number all blocks in one row."""
    layers = {"conv_stem": "features.0.0", "bn1": "features.0.1", "classifier": "classifier.1"}
    match_block = re.compile(r"blocks\.(\d+)\.(\d+)\.(\w+)\.\w+")
    blocks: dict[tuple[int, int], set[str]] = {}
    names = list(found)
    for name in names:
        if match := match_block.fullmatch(name):
            blocks.setdefault((int(match[1]), int(match[2])), set()).add(match[3])
    for number, (stage, block) in enumerate(sorted(blocks), start=1):
        row = EXPANDING if "conv_pwl" in blocks[stage, block] else DEPTHWISE_FIRST
        for their_layer, our_layer in row.items():
            layers[f"blocks.{stage}.{block}.{their_layer}"] = f"features.{number}.conv.{our_layer}"
    layers |= {"conv_head": f"features.{len(blocks) + 1}.0", "bn2": f"features.{len(blocks) + 1}.1"}
    table = {}
    for name in names:
        layer, _, parameter = name.rpartition(".")
        if layer in layers:
            table[name] = f"{layers[layer]}.{parameter}"
    return table


def summary(names: Mapping[str, str]) -> tuple[Renamed, ...]:
    """What was renamed, alike cases counted together: numbers of stages and blocks are written ``*``."""
    counts: dict[tuple[str, str], int] = {}
    for theirs, ours in names.items():
        if theirs != ours:
            pair = _starred(theirs), _starred(ours)
            counts[pair] = counts.get(pair, 0) + 1
    return tuple(Renamed(found=found, ours=ours, count=count) for (found, ours), count in counts.items())


def _starred(name: str) -> str:
    return re.sub(r"(?<=layer)\d+(?=\.)|(?<=\.)\d+(?=\.)", "*", name)


def fits(found: Shape, own: Shape) -> bool:
    """Whether the same numbers in the same order fill both: a fully connected layer is a 1x1 convolution."""
    short, long = sorted((found, own), key=len)
    return long[: len(short)] == short and set(long[len(short) :]) <= {1}


def held(found: Mapping[str, Shape]) -> str | None:
    """The attention that a checkpoint holds, as it is asked for here, such as ``se(bias=true,reduction=16)``.

    None if it holds none, or none that is known.
    """
    for spelling in SPELLINGS:
        layers: dict[str, dict[str, Shape]] = {}
        for name, shape in found.items():
            match = _BLOCK.fullmatch(name)
            if match and match["layer"] in spelling.layers:
                blocks = layers.setdefault(spelling.layers[match["layer"]], {})
                blocks[f"{match['block']}.{match['parameter']}"] = shape
        if set(layers) == set(spelling.layers.values()):
            place = "" if spelling.position == "standard" else f"@{spelling.position}"
            return f"{spelling.modules[0]}{_options(spelling.modules[0], layers)}{place}"
    return None


def _options(name: str, layers: Mapping[str, Mapping[str, Shape]]) -> str:
    """What the shapes in a file say of a module's options, where its signature has them, as a short name has it."""
    module, names = modules[name], modules.names_of(name)
    fields = schema(module).get("properties", {})
    chosen: list[str] = []
    for guessed, value in _guesses(layers).items():
        option = present(module, names, guessed)
        if option and value != fields[option]["default"]:
            chosen.append(f"{option}={json.dumps(value)}")
    return f"({','.join(chosen)})" if chosen else ""


def _guesses(layers: Mapping[str, Mapping[str, Shape]]) -> dict[str, bool | int]:
    """Option -> value that the shapes of a bottleneck's first layer and of convolutions speak for."""
    guesses: dict[str, bool | int] = {}
    if "reduce" in layers:
        guesses["bias"] = any(name.endswith(".bias") for name in layers["reduce"])
        widths = {shape[1]: shape[0] for name, shape in layers["reduce"].items() if name.endswith(".weight")}
        ratios = {channels // hidden for channels, hidden in widths.items()}
        rounded = all(max((channels // 16 + 4) // 8, 1) * 8 == hidden for channels, hidden in widths.items())
        if len(ratios) == 1:
            guesses["reduction"] = ratios.pop()
        elif rounded:  # timm rounds to a multiple of 8
            guesses["divisor"] = 8
    kernels = {shape[-1] for layer, shapes in layers.items() if layer.endswith("conv") for shape in shapes.values()}
    if len(kernels) == 1:
        guesses["kernel_size"] = kernels.pop()
    return guesses
