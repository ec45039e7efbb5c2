"""Aliases and former names: how what users write leads to the names of today.

A module or backbone may have other names in the field (``CA`` for ``coord``) and names that it had here before; so may
its options. Both are declared where the thing is registered, in its own file, and travel in the catalogue. An alias is
as good as the name; a former name works too, and is answered with a sentence that says the new one.
"""

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from attention.errors import BadOption
from attention.spec import Options, OptionValue, Variant


@dataclass(frozen=True)
class Names:
    """What one thing on a shelf is called.

    Args:
        name: its name.
        aliases: names that papers and other libraries give it.
        former: names that it had here.
        option_aliases: other names of its options -> their names.
        former_options: names that its options had here -> their names.
    """

    name: str
    aliases: tuple[str, ...] = ()
    former: tuple[str, ...] = ()
    option_aliases: Mapping[str, str] = field(default_factory=dict, hash=False)
    former_options: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def spellings(self) -> tuple[str, ...]:
        """Every name, the present one first."""
        return (self.name, *self.aliases, *self.former)

    def option(self, name: str) -> str:
        """The present name of an option; a name that is neither alias nor former stays as it is."""
        return {**self.option_aliases, **self.former_options}.get(name, name)


def letters(name: str) -> str:
    """A name without case, hyphens, spaces and other signs: ``SE-Net`` and ``senet`` are alike."""
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def find(name: str, entries: Sequence[Names]) -> Names | None:
    """The thing that a name means: by its name, else by an alias or former name, else by either without case and signs.

    None if there is none, or if several are meant equally well.
    """
    plain = letters(name)
    ways: tuple[Callable[[Names], bool], ...] = (
        lambda names: name == names.name,
        lambda names: name in names.spellings,
        lambda names: plain == letters(names.name),
        lambda names: plain in map(letters, names.spellings),
    )
    for fits in ways:
        if meant := [names for names in entries if fits(names)]:
            return meant[0] if len(meant) == 1 else None
    return None


def hint(name: str, entries: Sequence[Names]) -> str:
    """``" Did you mean 'coord'?"`` where a name or an alias is close, or what there is to choose from."""
    plain, names = letters(name), {letters(entry.name): entry.name for entry in entries}
    aliases = {letters(spelling): entry.name for entry in entries for spelling in entry.spellings}
    for spelled, cutoff in ((names, 0.5), (aliases, 0.75)):  # aliases are many and long, so chance likenesses are too
        if close := get_close_matches(plain, spelled, n=1, cutoff=cutoff):
            return f" Did you mean {spelled[close[0]]!r}?"
    return f" There is: {', '.join(sorted(names.values()))}." if entries else ""


def combined(name: str, backbones: Sequence[Names], modules: Sequence[Names]) -> tuple[tuple[str, str], ...]:
    """The backbone and module that one word joins, such as ``seresnet50``, ``eca_resnet50`` and ``ECA-Net50``.

    Where none does, those that are the longest part of it, as of ``ecaresnet50d``; empty if there are none.
    """
    plain = letters(name)
    joined: dict[str, dict[tuple[str, str], None]] = {}
    for backbone, module in itertools.product(backbones, modules):
        for body, head in itertools.product(map(letters, backbone.spellings), map(letters, module.spellings)):
            words = [head + body, body + head]
            if head.endswith("net") and (depth := re.fullmatch(r"resne[tx]t?(\d+)", body)):
                words.append(head + depth[1])
            for word in words:
                part = word in plain and body not in (head, plain) and re.search(rf"{word}(?!\d)", plain)
                if word == plain or part:
                    joined.setdefault(word, {})[backbone.name, module.name] = None
    return tuple(joined[max(joined, key=len)]) if joined else ()


def canonical(variant: Variant, backbones: Sequence[Names], modules: Sequence[Names]) -> Variant:
    """The variant in the names of today; what is not known stays as it is.

    Raises:
        BadOption: an option is given by two of its names.
    """
    backbone = find(variant.backbone, backbones)
    module = find(variant.attention, modules) if variant.attention else None
    update: dict[str, object] = {}
    if backbone is not None:
        update["backbone"] = backbone.name
        update["backbone_options"] = _options(backbone, variant.backbone_options)
    if module is not None:
        update["attention"] = module.name
        update["options"] = _options(module, variant.options)
    changed = {key: value for key, value in update.items() if value != getattr(variant, key)}
    return variant.model_copy(update=changed) if changed else variant


def _options(names: Names, options: Options) -> Options:
    renamed: dict[str, OptionValue] = {}
    for option, value in options.items():
        present = names.option(option)
        if present in renamed:
            raise BadOption(f"{names.name!r} is given its option {present!r} by two names. Leave one of them out.")
        renamed[present] = value
    return renamed


def renamings(variant: Variant, backbones: Sequence[Names], modules: Sequence[Names]) -> tuple[str, ...]:
    """A sentence for each former name that a variant uses: what is called how now."""
    sentences = []
    fields = (
        ("backbone", variant.backbone, variant.backbone_options, backbones),
        ("module", variant.attention, variant.options, modules),
    )
    for kind, name, options, shelf_names in fields:
        names = find(name, shelf_names) if name else None
        if names is None or name is None:
            continue
        present = {letters(spelling) for spelling in (names.name, *names.aliases)}
        if letters(name) not in present:
            sentences.append(f"The {kind} {name!r} is called {names.name!r} now.")
        for option in options:
            if option in names.former_options:
                new = names.former_options[option]
                sentences.append(f"The option {option!r} of {names.name!r} is called {new!r} now.")
    return tuple(sentences)


def former_spellings(variant: Variant, backbones: Sequence[Names], modules: Sequence[Names]) -> tuple[Variant, ...]:
    """How a variant in the names of today was written before, under each combination of former names."""
    module = find(variant.attention, modules) if variant.attention else None
    backbone = find(variant.backbone, backbones)
    written = [
        variant.model_copy(
            update={
                "backbone": body,
                "backbone_options": body_options,
                "attention": name,
                "options": options,
            }
        )
        for body, body_options in _before(backbone, variant.backbone, variant.backbone_options)
        for name, options in _before(module, variant.attention, variant.options)
    ]
    return tuple(name for name in dict.fromkeys(written) if name != variant)


def _before(names: Names | None, name: str | None, options: Options) -> list[tuple[str | None, Options]]:
    """The present spelling of a thing with its options, and the former ones."""
    if names is None:
        return [(name, options)]
    ways: list[Options] = [options]
    for old, new in names.former_options.items():
        ways += [{old if key == new else key: value for key, value in way.items()} for way in ways if new in way]
    return [(spelling, way) for spelling in (name, *names.former) for way in ways]
