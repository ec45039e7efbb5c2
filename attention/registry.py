"""Registry: a shelf filled by the files of a folder.

A file puts something on the shelf with a decorator, and that is all: the shelf imports the files of its
package the first time somebody looks, so no list is kept anywhere else.
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from attention.errors import UnknownName

T = TypeVar("T")


class Registry(Mapping[str, T]):
    """Name -> thing, for everything that the modules of ``package`` register.

    Args:
        kind: what the things are called in a sentence, such as ``attention module``.
        package: dotted name of the package whose files fill the shelf.
    """

    def __init__(self, kind: str, package: str) -> None:
        self.kind = kind
        self._package = package
        self._things: dict[str, T] = {}
        self._filled = False

    def register(self, name: str) -> Callable[[T], T]:
        """Decorator that puts what it decorates on the shelf under ``name``."""

        def put(thing: T) -> T:
            if name in self._things:
                raise ValueError(f"Two things are registered as {self.kind} {name!r}.")
            self._things[name] = thing
            return thing

        return put

    def __getitem__(self, name: str) -> T:
        self._fill()
        try:
            return self._things[name]
        except KeyError:
            raise UnknownName(self.kind, name, self._things) from None

    def __contains__(self, name: object) -> bool:
        self._fill()
        return name in self._things

    def __iter__(self) -> Iterator[str]:
        self._fill()
        return iter(sorted(self._things))

    def __len__(self) -> int:
        self._fill()
        return len(self._things)

    def _fill(self) -> None:
        if not self._filled:
            package = importlib.import_module(self._package)
            for module in pkgutil.iter_modules(package.__path__):
                importlib.import_module(f"{self._package}.{module.name}")
            self._filled = True
