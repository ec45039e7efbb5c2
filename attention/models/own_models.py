"""Models of a user's own by name: added in a script, from installed packages, or from the operator's file.

    own(name=mine)/none                 the model as it was given
    own(name=mine)/eca@after:layer4     with a module of the shelf behind a layer of its

Code is run only where the person who runs the process has put it: entry points of the group ``attention_lab.models``,
and one file that is the operator's own. Nothing that can run code is ever uploaded.
"""

import hashlib
import inspect
import os
import stat
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint, entry_points
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from threading import Thread
from types import ModuleType
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn

from attention.errors import AttentionError, InvalidRequest, NotFound, UnknownName, did_you_mean
from attention.models.one_pass import Measured, full_copy, measure, stated_size
from attention.models.seeding import SEEDING
from attention.names import Size, read_size
from attention.reports.parts.network import OutputKind
from attention.spec import Preprocess

GROUP = "attention_lab.models"
"""Entry points of installed packages that give models."""
LARGEST = 400_000_000
"""Most parameters of a model that a service takes."""
BUILT_WITHIN_S = 60.0
SIDE = 224
"""Height and width of the input of a model that says no other, pixels."""

T = TypeVar("T")


class Cache(Protocol):
    """A function whose results are kept, as `functools.lru_cache` makes them."""

    def cache_clear(self) -> None:
        """Forget all results."""


C = TypeVar("C", bound=Cache)
_caches: list[Cache] = []


def renewed(cache: C) -> C:
    """Decorator for kept results about networks: they are forgotten when a name comes to mean another model."""
    _caches.append(cache)
    return cache


class CachedAttribute(Generic[T]):
    """Decorator: a method becomes an attribute that is found out once, and no lock is held meanwhile.

    `functools.cached_property` of Python 3.11 holds one for all objects of a class, so that a builder which asks for
    another model would wait for itself.
    """

    def __init__(self, find: Callable[[Any], T]) -> None:
        self.find = find
        self.__doc__ = find.__doc__

    def __get__(self, thing: Any, kind: type) -> T:
        if thing is None:  # who reads the documentation
            return self  # type: ignore[return-value]
        value = thing.__dict__[self.find.__name__] = self.find(thing)
        return value


@dataclass(frozen=True)
class OwnModel:
    """A model under a name, made when it is first needed.

    Args:
        make: gives the model.
        title: what it is, in a line.
        labels: names of its classes; none if they are not known.
        preprocess: how photos become its input; None is the usual way at its size.
        size: height and width of its input, pixels; None finds it out.
        outputs: what it gives for each image; None finds it out.
        limited: whether it must be small enough and made soon enough for a service.
        source: version of the package, or digest of the file, that it is from.
    """

    name: str
    make: Callable[[], Any]
    title: str = ""
    labels: tuple[str, ...] = ()
    preprocess: Preprocess | None = None
    size: Size | None = None
    outputs: OutputKind | None = None
    limited: bool = True
    source: str = ""

    @CachedAttribute
    def module(self) -> nn.Module:
        """The model itself; what is built of it is a copy.

        Raises:
            InvalidRequest: its builder fails, takes too long or asks for the model itself, or what it gives is no
                model, or too large.
        """
        with SEEDING:
            if (known := self.__dict__.get("module")) is not None:
                return known
            if self.name in _being_made:
                raise InvalidRequest(f"The builder of the model {self.name!r} asks for that model itself.")
            _being_made.add(self.name)
            try:
                made = self.__dict__["module"] = self._made()  # before another thread comes in, and makes it again
            finally:
                _being_made.remove(self.name)
            return made

    def _made(self) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)  # so that weights it draws are those of the process before
            model = _soon(f"The model {self.name!r}", self.make) if self.limited else self.make()
        if not isinstance(model, nn.Module):
            raise InvalidRequest(f"The model {self.name!r} is a {type(model).__name__}, and no nn.Module.")
        size = sum(parameter.numel() for parameter in model.parameters())
        if self.limited and size > LARGEST:
            raise InvalidRequest(
                f"The model {self.name!r} has {size:,} parameters; models of up to {LARGEST:,} are taken here."
            )
        return model

    @CachedAttribute
    def measured(self) -> Measured:
        """What one pass of a copy shows.

        Raises:
            InvalidRequest: the model does not take a photo, or its pass takes too long.
        """
        size, model = self.input_size, full_copy(self.module).eval().requires_grad_(False)
        seen = _soon(f"A pass of {self.name!r}", lambda: measure(model, size)) if self.limited else measure(model, size)
        return seen if self.outputs is None else replace(seen, outputs=self.outputs)

    @CachedAttribute
    def input_size(self) -> Size:
        """Height and width of the input in pixels: as said, else by its preprocessing, else by the model itself."""
        if self.size is not None:
            return self.size
        if self.preprocess is not None:
            return self.preprocess.input_size
        for about in (getattr(self.module, "pretrained_cfg", None), getattr(self.module, "default_cfg", None)):
            if isinstance(about, Mapping) and about.get("input_size"):
                return read_size(tuple(about["input_size"][-2:]))
        return stated_size(self.module) or SIDE

    @CachedAttribute
    def fingerprint(self) -> str:
        """A hash of where the model is from, its modules and its weights: the same in every process."""
        digest = hashlib.sha256(f"{self.source}\n{self.module}".encode())
        for name, tensor in self.module.state_dict().items():
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()

    @property
    def stamp(self) -> str:
        """A text that changes when the model, its weights, also trained in place, or what is said of it does."""
        tensors = (*self.module.parameters(), *self.module.buffers())
        said = (self.labels, self.preprocess, self.size, self.outputs)
        return f"{id(self.module)} {hash((said, tuple((tensor.data_ptr(), tensor._version) for tensor in tensors)))}"


# ---------------------------------------------------------------- the models by name

_models: dict[str, OwnModel] = {}
_being_made: set[str] = set()
"""Names of the models whose builders run; read and changed inside `SEEDING`."""


def add(model: OwnModel) -> None:
    """Give a model its name; another one of that name makes place.

    Raises:
        InvalidRequest: it cannot be a name.
    """
    if not model.name or not all(letter.isalnum() or letter in "._-" for letter in model.name):
        raise InvalidRequest(f"{model.name!r} is no name of a model: letters, digits and . _ - only.")
    remove(model.name)
    _models[model.name] = model


def remove(name: str) -> None:
    """Forget a model; it is no error if there is none."""
    _models.pop(name, None)
    for cache in _caches:
        cache.cache_clear()


def names() -> tuple[str, ...]:
    """Names of all models, in the order they came."""
    return tuple(_models)


def get(name: str) -> OwnModel:
    """Look up a user's model by name.

    Raises:
        UnknownName: there is none.
    """
    if name not in _models:
        hint = (
            did_you_mean(name, _models) if _models else " There are none here; docs/your_model.md says how to add one."
        )
        raise UnknownName("model of one's own", name, (), hint)
    return _models[name]


# ---------------------------------------------------------------- where a service finds them


def read(file: Path | None = None) -> tuple[str, ...]:
    """Take in the models of installed packages and of the operator's file; gives their names.

    Models are made when they are needed. A package that cannot be imported gives a model that says so.

    Raises:
        InvalidRequest: the file is not the operator's alone, or it fails.
    """
    loaded = {entry.name: _loaded(entry) for entry in entry_points(group=GROUP)}
    if file is not None:
        module, digest = load_file(_checked(file)), hashlib.sha256(file.read_bytes()).hexdigest()
        loaded |= {
            name: described(name, thing, digest)
            for name, thing in vars(module).items()
            if not name.startswith("_") and inspect.isroutine(thing) and thing.__module__ == module.__name__
        }
    for model in loaded.values():
        add(model)
    return tuple(loaded)


def _loaded(entry: EntryPoint) -> OwnModel:
    try:
        return described(entry.name, entry.load(), f"{entry.value} {entry.dist.version if entry.dist else ''}")
    except Exception as error:
        sentence = f"The model {entry.name!r} of {entry.value} cannot be imported: {type(error).__name__}: {error}"

        def refuse() -> nn.Module:
            raise InvalidRequest(sentence)

        return OwnModel(entry.name, refuse)


def described(name: str, function: Callable[[], Any], source: str) -> OwnModel:
    """A model by its builder, with what attributes of that say: labels, preprocess, example, outputs."""
    return OwnModel(
        name,
        function,
        title=(inspect.getdoc(function) or "").partition("\n")[0],
        labels=tuple(map(str, getattr(function, "labels", ()))),
        preprocess=getattr(function, "preprocess", None),
        size=example_size(getattr(function, "example", None)),
        outputs=getattr(function, "outputs", None),
        source=source,
    )


def example_size(example: Any) -> Size | None:
    """Height and width of an example input: a side, a size (C, H, W), or a tensor (B, C, H, W); None for none.

    Raises:
        InvalidRequest: it is none of these.
    """
    if example is None or isinstance(example, int):
        return example
    shape = example.shape if isinstance(example, Tensor) else example
    try:
        return read_size(tuple(shape[-2:]))
    except (TypeError, ValueError):
        raise InvalidRequest(
            f"An example is a side in pixels, or a size such as (3, 320, 320), not {example!r}."
        ) from None


def _checked(file: Path) -> Path:
    """The file, if nobody but the user who runs this process, or root, can write it.

    Raises:
        InvalidRequest: somebody can, or it is not there.
    """
    if not file.is_file():
        raise InvalidRequest(f"There is no file of models {file}.")
    for path in (file, file.resolve().parent):
        about = path.stat()
        open_to_others = about.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not about.st_mode & stat.S_ISVTX
        if about.st_uid not in (0, os.getuid()) or open_to_others:
            raise InvalidRequest(
                f"{path} must belong to the user who runs the service and be writable for nobody else, for what is in "
                f"it is run: chmod go-w {path}."
            )
    return file


def load_file(path: Path) -> ModuleType:
    """Run a file of Python as a module under a private name, so that it hides nothing, whatever it is called.

    Raises:
        NotFound: there is no such file.
        InvalidRequest: it fails.
    """
    if not path.is_file():
        raise NotFound(f"There is no file {path}.")
    spec = spec_from_file_location(f"_model_of_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    if (folder := str(path.resolve().parent)) not in sys.path:
        sys.path.append(folder)  # last, so that what lies beside it hides nothing of the library
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise InvalidRequest(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    return module


# ---------------------------------------------------------------- limits of a service


def _soon(what: str, work: Callable[[], T]) -> T:
    """The result of some work of a user's, if it comes within a minute.

    Raises:
        InvalidRequest: it fails, or takes longer.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:
            errors.append(error)

    thread = Thread(target=run, name="own-model", daemon=True)
    with SEEDING.shared_with(thread):
        thread.start()
        thread.join(BUILT_WITHIN_S)
    if errors:
        error = errors[0]
        if isinstance(error, AttentionError):
            raise error
        raise InvalidRequest(f"{what} fails: {type(error).__name__}: {error}") from error
    if not results:
        raise InvalidRequest(f"{what} takes longer than {BUILT_WITHIN_S:.0f} s, and is left out.")
    return results[0]
