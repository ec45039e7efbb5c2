"""Registry: a shelf filled by the files of a folder.

A file puts something on the shelf with a decorator, and that is all: the shelf imports the files of its
package the first time somebody looks, so no list is kept anywhere else.
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import TypeVar

from attention.errors import UnknownName
from attention.registry.aliases import Names, find, hint

T = TypeVar("T")


class Registry(Mapping[str, T]):
    """The classes or functions that the modules of ``package`` register, by name.

    Args:
        kind: what the things are called in a sentence, such as ``attention module``.
        package: dotted name of the package whose files fill the shelf.
    """

    def __init__(self, kind: str, package: str) -> None:
        self.kind = kind
        self._package = package
        self._things: dict[str, T] = {}
        self._names: dict[str, Names] = {}
        self._unlisted: set[str] = set()
        self._filled = False

    def register(
        self,
        name: str,
        *,
        aliases: tuple[str, ...] = (),
        former: tuple[str, ...] = (),
        option_aliases: Mapping[str, str] = MappingProxyType({}),
        former_options: Mapping[str, str] = MappingProxyType({}),
        listed: bool = True,
    ) -> Callable[[T], T]:
        """Decorator that puts what it decorates on the shelf under ``name``.

        Args:
            aliases: names that papers and other libraries give it.
            former: names that it had here; they go on working, with a warning.
            option_aliases: other names of its options -> their names.
            former_options: names that its options had here -> their names; they go on working, with a warning.
            listed: whether the shelf shows it; what means nothing without an option need not be shown.
        """

        def put(thing: T) -> T:
            if name in self._things:
                raise ValueError(f"Two things are registered as {self.kind} {name!r}.")
            self._things[name] = thing
            self._unlisted |= set() if listed else {name}
            self._names[name] = Names(name, aliases, former, dict(option_aliases), dict(former_options))
            return thing

        return put

    @property
    def names(self) -> tuple[Names, ...]:
        """What each thing is called, in the order of the names."""
        return tuple(self._names[name] for name in self)

    def canonical(self, name: str) -> str:
        """The name of the thing that a name, alias or former name means.

        Raises:
            UnknownName: it means none of them, or several equally well.
        """
        names = find(name, self.names)
        if names is None:
            raise UnknownName(self.kind, name, (), hint(name, self.names))
        return names.name

    def names_of(self, name: str) -> Names:
        """What a thing and its options are called; ``name`` is its own."""
        self[name]
        return self._names[name]

    def __getitem__(self, name: str) -> T:
        self._fill()
        try:
            return self._things[name]
        except KeyError:
            raise UnknownName(self.kind, name, (), hint(name, self.names)) from None

    def __contains__(self, name: object) -> bool:
        self._fill()
        return name in self._things

    def __iter__(self) -> Iterator[str]:
        self._fill()
        return iter(sorted(self._things.keys() - self._unlisted))

    def __len__(self) -> int:
        self._fill()
        return len(self._things) - len(self._unlisted)

    def _fill(self) -> None:
        if not self._filled:
            package = importlib.import_module(self._package)
            for module in pkgutil.iter_modules(package.__path__):
                importlib.import_module(f"{self._package}.{module.name}")
            self._filled = True
