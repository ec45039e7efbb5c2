"""Hooks that follow a model's forward passes and name the gates that these meet; they leave with the block.

While a model is traced, the outermost of its modules that is called pushes a `Flow` and takes it away again, in
whichever thread it runs, so nothing is left behind after an error, and nothing is slower after the block. Everything
that looks at gates or replaces them is a visitor of the one tracing that a model has: an ablation and a capture may be
entered in any order, and each acts on what those entered before it made of the weights.
"""

import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, get_args
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from attention.errors import InvalidRequest
from attention.gate import Gate, sites
from attention.mechanisms import UNITS, mechanism_of
from attention.reports.gates import WatchedGate
from attention.spec import GateKind
from attention.tracing.example import describe
from attention.tracing.passes import Pass, Visitor
from attention.tracing.paths import named_modules, submodules

PLAIN = (nn.Sequential.forward, nn.Identity.forward, nn.Module.forward)
"""What modules do that compute nothing of their own."""


class Tracing:
    """The hooks of one model, and who visits its gates.

    Args:
        root: the model without wrappers.
    """

    def __init__(self, root: nn.Module) -> None:
        self.root = root
        self.visitors: list[Visitor] = []
        self.not_visible: list[str] = []
        self._modules: dict[str, nn.Module] = {}
        self._mechanisms: dict[str, str | None] = {}
        self._sites = {site.path: site for site in sites(root)}
        self._local = threading.local()
        self._leaving = ExitStack()
        for path, module in named_modules(root).items():
            if any(path.startswith(f"{scripted}.") for scripted in self.not_visible):
                continue
            if isinstance(module, torch.jit.ScriptModule):
                self.not_visible.append(path)
                continue
            self._modules[path] = module
        gates = any(isinstance(module, Gate) for module in self._modules.values())
        self._follows = not gates or not all(map(_ours, self._modules.values()))
        for path, module in self._modules.items():
            self._hook(path, module)

    def class_of(self, path: str) -> str:
        """Name of a module's class."""
        return type(self._modules[path]).__name__

    def mechanism_of(self, path: str) -> str | None:
        """Name of a module's mechanism: its parent's, if that is one (CBAM's two halves), else its own."""
        if path not in self._mechanisms:
            parent = self._modules.get(path.rpartition(".")[0]) if path else None
            above = mechanism_of(parent) if parent is not None else None
            self._mechanisms[path] = above or mechanism_of(self._modules[path])
        return self._mechanisms[path]

    def attends(self, path: str) -> bool:
        """Whether a module's class is known to be a unit of attention, convolutions and all."""
        return self.mechanism_of(path) in UNITS

    def point(self, pointed: Mapping[str, GateKind]) -> ExitStack:
        """Take the outputs of submodules for gates; the hooks leave when what is returned is closed.

        Raises:
            InvalidRequest: a pattern names no submodule, or a kind is none.
        """
        leaving = ExitStack()
        for pattern, kind in pointed.items():
            if kind not in get_args(GateKind):
                kinds = ", ".join(get_args(GateKind))
                raise InvalidRequest(f"{kind!r} is not a kind of gate; there is {kinds}.")
            for path, module in submodules(self.root, [pattern]).items():
                if path not in self._modules:
                    raise InvalidRequest(f"{path!r} is TorchScript: it runs without Python, so it cannot be watched.")
                leaving.callback(module.register_forward_hook(partial(self._pointed, path, kind)).remove)
        return leaving

    @contextmanager
    def begun(self, args: tuple[Any, ...]) -> Iterator[None]:
        """Follow a pass of the root that has begun before its hooks were there."""
        if self._running() is not None:
            yield
            return
        self._enter("", self.root, args, {})
        try:
            yield
        finally:
            self._leave("", self.root, args, None)

    def close(self) -> None:
        """Take all hooks away, and the mode of a pass in this thread that was interrupted from outside."""
        self._leaving.close()
        if running := self._running():
            self._end(running)

    def _hook(self, path: str, module: nn.Module) -> None:
        built_in = type(module).__module__.startswith("torch.nn.") and not any(True for _ in module.children())
        if path and (built_in or type(module).forward in PLAIN):
            return
        handles = [
            module.register_forward_pre_hook(partial(self._enter, path), with_kwargs=True),
            module.register_forward_hook(partial(self._leave, path), always_call=True),
        ]
        if isinstance(module, Gate):
            handles.append(module.register_forward_hook(partial(self._own, path), prepend=True))
        for handle in handles:
            self._leaving.callback(handle.remove)

    def _running(self) -> Pass | None:
        running: Pass | None = getattr(self._local, "running", None)
        return running

    def _enter(self, path: str, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        running = self._running()
        if running is None:
            running = Pass(self, self.visitors, (self.root if path else module) if self._follows else None)
            self._local.running = running
            running.begin()
        running.enter(path, (*args, *kwargs.values()))

    def _leave(self, path: str, module: nn.Module, args: Any, output: Any) -> None:
        running = self._running()
        if running is None:
            return
        running.leave(path)
        if running.running:
            return
        self._end(running)
        if not path and output is not None:
            for visitor in tuple(self.visitors):
                visitor.passed(running.summary)

    def _end(self, running: Pass) -> None:
        self._local.running = None
        running.end()

    def _own(self, path: str, gate: nn.Module, args: Any, weights: Tensor) -> Tensor | None:
        """A gate of our own modules has run."""
        running = self._running()
        if running is None or not isinstance(gate, Gate):
            return None
        owner = path.rpartition(".")[0]
        return running.show(self._watched(path, running.calls[path], owner, gate, running, weights), weights)

    def _pointed(self, path: str, kind: GateKind, module: nn.Module, args: Any, weights: Any) -> Tensor | None:
        """A submodule has run that was said to give a gate's weights."""
        running = self._running()
        if running is None:
            return None
        if not isinstance(weights, Tensor):
            raise InvalidRequest(f"{path!r} gives {describe(weights)}, and a gate's weights are one tensor.")
        tag = running.flow.tag(weights) if running.flow is not None else None
        check_weights(path, kind, weights, tag is not None and tag.bound is not None)
        running.pointed[path] += 1
        gate = Gate(kind, None if kind in ("branch", "matrix") or (tag and tag.choice) else 1.0)
        return running.show(self._watched(path, running.pointed[path], path, gate, running, weights), weights)

    def _watched(self, path: str, call: int, owner: str, gate: Gate, running: Pass, weights: Tensor) -> WatchedGate:
        """Describe a gate whose weights leave a module."""
        tag = running.flow.tag(weights) if running.flow is not None else None
        return WatchedGate(
            path=path + (f"@{call}" if call > 1 else ""),
            kind=gate.kind,
            neutral=gate.neutral,
            module=self.class_of(owner),
            mechanism=self.mechanism_of(owner),
            activation=tag.bound if tag else None,
            axis=gate.axis,
            shape=tuple(weights.shape),
            static=tag is not None and not tag.depends,
            site=self._sites.get(path),
        )


# ---------------------------------------------------------------- opening and closing


_open: WeakKeyDictionary[nn.Module, Tracing] = WeakKeyDictionary()
_lock = threading.RLock()
_stances: list[Any] = []
"""The compiler's stance as it was set when the first tracing began."""


@contextmanager
def tracing(model: nn.Module, visitor: Visitor, pointed: Mapping[str, GateKind]) -> Iterator[Tracing]:
    """Show a visitor every gate that the model's passes inside the block meet.

    Raises:
        InvalidRequest: the model is scripted, or a pattern of ``pointed`` names no submodule.
    """
    root = unwrap(model)
    with ExitStack() as leaving:
        with _lock:
            traced = _open.get(root)
            if traced is None:
                traced = Tracing(root)
                _open[root] = traced
                _force_eager()
            traced.visitors.append(visitor)
        leaving.callback(_leave, root, traced, visitor)
        leaving.enter_context(traced.point(pointed))
        yield traced


def _leave(root: nn.Module, traced: Tracing, visitor: Visitor) -> None:
    with _lock:
        traced.visitors.remove(visitor)
        if not traced.visitors:
            del _open[root]
            traced.close()
            if not _open:
                _release()


def _force_eager() -> None:
    """Let compiled models run their original modules, whose hooks fire; nothing was compiled without torch._dynamo."""
    if not _stances and "torch._dynamo" in sys.modules:
        _stances.append(torch.compiler.set_stance("force_eager"))


def _release() -> None:
    if _stances:
        _stances.pop().__exit__(None, None, None)


def unwrap(model: nn.Module) -> nn.Module:
    """The model inside DataParallel, DistributedDataParallel and torch.compile's wrapper.

    Raises:
        InvalidRequest: it is scripted, or no module.
    """
    wrappers = (nn.DataParallel, nn.parallel.DistributedDataParallel)
    while isinstance(model, wrappers) or "_orig_mod" in getattr(model, "_modules", {}):
        model = model.module if isinstance(model, wrappers) else model._modules["_orig_mod"]  # type: ignore[assignment]
    if isinstance(model, torch.jit.ScriptModule):
        raise InvalidRequest(
            "This model is TorchScript: it runs without Python, so its gates cannot be seen. Give the nn.Module it was "
            "made from."
        )
    if not isinstance(model, nn.Module):
        raise InvalidRequest(f"{describe(model)} is no model: an nn.Module is needed.")
    return model


def check_weights(path: str, kind: GateKind, weights: Tensor, bounded: bool) -> None:
    """Raise InvalidRequest unless the output of a submodule can be the weights of a gate of a kind.

    Raises:
        InvalidRequest: it is a map.
    """
    wide = sum(size > 1 for size in weights.shape[1:])
    fits = {"channel": wide <= 1, "spatial": weights.dim() < 4 or weights.shape[1] == 1, "rows": wide <= 2}.get(
        kind, True
    )
    low, high = (-1.0, 2.0) if weights.is_meta or not weights.numel() else map(float, weights.detach().aminmax())
    if fits and (bounded or (low >= -1 and high <= 2)):
        return
    raise InvalidRequest(
        f"{path!r} gives values from {low:.1f} to {high:.1f} of shape {tuple(weights.shape)}, the map's own, so it is "
        "a map, not its weight. Point at the activation that gives the weight."
    )


def _ours(module: nn.Module) -> bool:
    """Whether a module's code is torch's or this library's, whose weights all pass a Gate."""
    return type(module).__module__.partition(".")[0] in ("torch", "attention")
