"""Names that other libraries give to parameters, and what they are called here: one file a library.

Backbones have torchvision's names here, and so have most checkpoints. What differs is of three kinds: a wrapper's word
before every name, a library's own names of layers, and attention, which each library keeps under an attribute of the
block, and which here lies in a slot: ``layer1.0.se.fc1.weight`` is ``layer1.0.standard.0.reduce.weight``. An attribute
that no library here has is taken for attention if its layers are those of the module that is asked for.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import get_args

from attention.modules import modules
from attention.registry import Registry
from attention.reports.parts.checkpoints import Renamed
from attention.spec import OptionValue, Position

Shape = tuple[int, ...]

NO_EFFECT = ("num_batches_tracked", "n_averaged", "total_ops", "total_params")
"""Counters of normalisations, of averaging, and those that a profiler leaves behind: no result depends on them."""

Rename = Callable[[Collection[str]], Mapping[str, str]]
"""All names of a checkpoint -> those among them that have another name here, with that name."""


@dataclass(frozen=True)
class Spelling:
    """How a library names one mechanism's layers inside a block.

    Args:
        module: the mechanism's name here.
        attribute: what the block calls it.
        layers: layer of theirs, counted from the attribute -> layer of ours, counted from the module. Empty where both
            have the same names.
        also: names of modules here that have the same layers.
        position: where in the block the library puts it.
    """

    module: str
    attribute: str
    layers: Mapping[str, str] = field(default_factory=dict, hash=False)
    also: tuple[str, ...] = ()
    position: Position = "standard"

    @property
    def modules(self) -> tuple[str, ...]:
        """The modules here, in the names of today, whose layers it spells."""
        return tuple(modules.canonical(name) for name in (self.module, *self.also))


def _no_names(names: Collection[str]) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True)
class Library:
    """A library's names of parameters.

    Args:
        spellings: of attention in blocks.
        rename: its names of everything else.
        options: what a module here has to be told to compute what the library's does, by module.
        note: what it computes differently under the same names and shapes, as a sentence.
    """

    spellings: tuple[Spelling, ...] = ()
    rename: Rename = _no_names
    options: Mapping[str, Mapping[str, OptionValue]] = field(default_factory=dict, hash=False)
    note: str | None = None


libraries: Registry[Library] = Registry("library of checkpoints", __name__)


def patterns(*pairs: tuple[str, str]) -> Rename:
    """A renaming by regular expressions: the first that matches the start of a name is replaced."""
    compiled = [(re.compile(pattern), replacement) for pattern, replacement in pairs]

    def rename(names: Collection[str]) -> Mapping[str, str]:
        table = {}
        for name in names:
            for pattern, replacement in compiled:
                if pattern.match(name):
                    table[name] = pattern.sub(replacement, name, count=1)
                    break
        return table

    return rename


@dataclass(frozen=True)
class Translation:
    """Names of a checkpoint with what they are called here.

    Args:
        names: name in the file -> name here; a name that nothing is known of stays as it is.
        libraries: whose names of the network as a whole they are; empty for torchvision's.
        assumed: attributes that are taken for the attention that was asked for because their layers are its.
    """

    names: Mapping[str, str]
    libraries: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()


def translate(file_names: Iterable[str], network_names: Iterable[str], attention: str | None) -> Translation:
    """Translate a checkpoint's names: of all readings the one that gives most names of the network.

    Args:
        file_names: the names in the file.
        network_names: the names of the network that they are meant for.
        attention: the network's module, whose names may be spelled in several ways.
    """
    file_names, targets = list(file_names), set(network_names)
    readings = (_reading(names, targets, attention) for names in unwrapped(file_names))
    best, most = Translation({name: name for name in file_names}), -1
    for reading in (reading for group in readings for reading in group):
        count = len(targets.intersection(reading.names.values()))
        if count > most:
            best, most = reading, count
        if most == len(targets):
            break
    return best


def unwrapped(names_in_file: Collection[str]) -> Iterator[dict[str, str]]:
    """Names without what stands before all of them: as they are, then with one word less each time.

    DataParallel puts ``module.`` there, torch.compile ``_orig_mod.``, trainers words of their own.
    """
    names = {name: name for name in names_in_file}
    while True:
        yield names
        meant = [name for name in names.values() if not name.endswith(NO_EFFECT)]
        first = {name.partition(".")[0] for name in meant}
        if len(first) != 1 or not all("." in name for name in meant):
            return
        word = f"{first.pop()}."
        names = {theirs: name.removeprefix(word) for theirs, name in names.items()}


def _reading(names: Mapping[str, str], targets: set[str], attention: str | None) -> Iterator[Translation]:
    """The names as each library would mean them."""
    for library in (None, *libraries):
        table = libraries[library].rename(names.values()) if library else {}
        if library and not table:
            continue
        renamed = {theirs: table.get(name, name) for theirs, name in names.items()}
        if not targets & set(renamed.values()):  # a whole network of timm's lies one level deeper
            renamed = {
                theirs: f"body.{name}" if f"body.{name}" in targets else name for theirs, name in renamed.items()
            }
        placed = {theirs: _in_slot(name, targets, attention) for theirs, name in renamed.items()}
        assumed = _own_attributes(set(placed.values()), targets, attention)
        yield Translation(
            {theirs: assumed.get(name, (name, ""))[0] for theirs, name in placed.items()},
            (library,) if library else (),
            tuple(dict.fromkeys(attribute for _, attribute in assumed.values())),
        )


BLOCK = re.compile(r"(?P<block>(?:.*\.)?(?:layer|stages\.)\d+\.\d+|features\.\d+)\.(?P<layer>.+)\.(?P<parameter>\w+)")
"""A parameter inside a block of a residual network, or of MobileNetV2."""

SLOT = re.compile(
    r"(?P<block>(?:.*\.)?(?:layer|stages\.)\d+\.\d+|features\.\d+)\.(?P<position>pre|spatial|inner|standard|identity|post)"
    r"\.0\.(?P<rest>.+)"
)
"""A parameter of attention inside a block, as it is named here."""


OWN = tuple(f"{position}.0" for position in get_args(Position))
"""Attributes under which attention stands here: their names tell where it was trained."""


def spellings(attention: str | None = None) -> Iterator[Spelling]:
    """Every library's spelling of one module's layers, or of all modules'."""
    for library in libraries.values():
        for spelling in library.spellings:
            if attention is None or attention in spelling.modules:
                yield spelling


def _in_slot(name: str, targets: set[str], attention: str | None) -> str:
    if attention is None or name in targets or (match := BLOCK.fullmatch(name)) is None:
        return name
    for spelling in spellings(attention):
        for theirs, ours in spelling.layers.items():
            if match["layer"] == f"{spelling.attribute}.{theirs}":
                path = f"{match['block']}.{spelling.position}.0.{ours}.{match['parameter']}"
                weight = f"{match['block']}.{spelling.position}.0.{ours}.weight"
                if path in targets or weight in targets:
                    return path
    return name


def _own_attributes(names: set[str], targets: set[str], attention: str | None) -> dict[str, tuple[str, str]]:
    """Names under an attribute that no library has -> names here and the attribute, where all of its layers agree."""
    if attention is None:
        return {}
    spelled = {spelling.attribute for spelling in spellings()}
    table: dict[str, tuple[str, str]] = {}
    for slot, rests in _empty_slots(names, targets).items():
        block = slot.rpartition(".0")[0].rpartition(".")[0]
        inside = {
            name.removeprefix(f"{block}.") for name in names if name.startswith(f"{block}.") and name not in targets
        }
        for theirs in forms(attention, rests):
            attribute = _attribute(inside, theirs)
            if attribute is not None and attribute not in spelled and not attribute.endswith(OWN):
                table |= {
                    f"{block}.{attribute}.{their_rest}": (f"{slot}.{rest}", attribute)
                    for their_rest, rest in theirs.items()
                }
                break
    return table


def _empty_slots(names: set[str], targets: set[str]) -> dict[str, set[str]]:
    """Slots that none of the names belongs to -> the names of their parameters, counted from the module."""
    slots: dict[str, set[str]] = {}
    filled = set()
    for name in targets:
        if match := SLOT.fullmatch(name):
            slot = f"{match['block']}.{match['position']}.0"
            slots.setdefault(slot, set()).add(match["rest"])
            if name in names:
                filled.add(slot)
    return {slot: rests for slot, rests in slots.items() if slot not in filled}


def forms(attention: str, rests: Iterable[str]) -> Iterator[dict[str, str]]:
    """The parameters of a module as they are named here and in each library: their name -> ours."""
    meant = [rest for rest in rests if not rest.endswith(NO_EFFECT)]
    yield {rest: rest for rest in meant}
    for spelling in spellings(attention):
        theirs = {ours: name for name, ours in spelling.layers.items()}
        parts = [rest.rpartition(".") for rest in meant]
        if all(layer in theirs for layer, _, _ in parts):
            yield {f"{theirs[layer]}.{parameter}": f"{layer}.{parameter}" for layer, _, parameter in parts}


def _attribute(inside: Iterable[str], library_names: Collection[str]) -> str | None:
    """The one attribute whose parameters are exactly these; None if there is none, or more than one."""
    groups: dict[str, set[str]] = {}
    for name in inside:
        for rest in library_names:
            if name.endswith(f".{rest}"):
                groups.setdefault(name.removesuffix(f".{rest}"), set()).add(rest)
    whole = [attribute for attribute, rests in groups.items() if rests == set(library_names)]
    return whole[0] if len(whole) == 1 else None


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


def fits(shape: Shape, target: Shape) -> bool:
    """Whether the same numbers in the same order fill both: a fully connected layer is a 1x1 convolution."""
    short, long = sorted((shape, target), key=len)
    return long[: len(short)] == short and set(long[len(short) :]) <= {1}
