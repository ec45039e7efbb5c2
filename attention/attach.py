"""Attention behind any submodule of any model, whose class, modules and parameters' names stay what they are.

    attached = attach(detector, at="neck.c2f*", module="eca")     # outputs as before, to the bit, until it is trained
    attached.remove()                                             # and as if it had never been there

What is attached lies under one new child of the model, ``attached``, and is run by forward hooks; the hooks are objects
that hold their module, so copies, pickles, exports and traces of the model take it along. ``torch.jit.script`` refuses
a model with hooks: trace or export it instead.
"""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Literal, Self, get_args

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from attention.errors import AttentionError, InvalidRequest, did_you_mean
from attention.gate import AttentionModule, Slot
from attention.modules import modules
from attention.registry import options as option_forms
from attention.reports.parts.attach import AttachedModule, AttachReport
from attention.tracing.attached import AttachedModules, RunAttached, key
from attention.tracing.example import Inputs, at_rest, describe, inputs, own_size
from attention.tracing.outputs import map_shape, outlines
from attention.tracing.paths import named_modules, several, submodules

Start = Literal["identity", "published"]
Maker = Callable[[int], nn.Module]
"""Channels -> a module (B, C, H, W) -> (B, C, H, W)."""


class Attached(nn.Module):
    """A module on the output of another one: (B, C, H, W) -> (B, C, H, W).

    Args:
        module: what is attached.
        identity: start as y = x + m (f(x) - x) with a new number m = 0, so that y is x to the bit until m is trained.
        channels_last: the map is (B, H, W, C).
    """

    def __init__(self, module: nn.Module, identity: bool, channels_last: bool) -> None:
        super().__init__()
        self.module = module
        self.m = nn.Parameter(torch.zeros(())) if identity else None
        self.channels_last = channels_last

    def forward(self, x: Tensor) -> Tensor:
        if self.channels_last:
            y = self.module(x.permute(0, 3, 1, 2).contiguous()).permute(0, 2, 3, 1)
        else:
            y = self.module(x)
        return y if self.m is None else x + self.m * (y - x)


class Attachment:
    """What one call of `attach` did; as a context manager it is undone at the end of the block."""

    def __init__(self, model: nn.Module, name: str, handles: dict[str, RemovableHandle], report: AttachReport) -> None:
        self._model, self._name, self._handles = model, name, handles
        self.report = report
        self.paths = tuple(handles)

    @property
    def added_parameters(self) -> int:
        """Trainable numbers that were added."""
        return self.report.parameters

    def remove(self) -> None:
        """Put everything back: the same keys in the same order, the same outputs; a second call does nothing."""
        container = getattr(self._model, self._name, None)
        for path, handle in self._handles.items():
            handle.remove()
            if isinstance(container, AttachedModules):
                del container[key(path)]
        if isinstance(container, AttachedModules) and not container:
            delattr(self._model, self._name)
        self._handles = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def __repr__(self) -> str:
        return str(self.report)


def attach(
    model: nn.Module,
    at: str | tuple[str, ...] | list[str],
    module: str | Maker = "eca",
    *,
    start: Start = "identity",
    seed: int = 0,
    example: Any = None,
    channels_last: bool | None = None,
    name: str = "attached",
    **options: Any,
) -> Attachment:
    """Put an attention module behind every submodule that a path or pattern names.

    Load the model's own weights before, or with ``strict=False`` after: what is attached has keys of its own. Attach
    before wrapping or compiling the model.

    Args:
        at: paths or patterns of submodules that give maps (B, C, H, W), such as ``layer*.*.bn3``.
        module: a name on the shelf, with its options as keywords, or a function that makes a module for a number of
            channels.
        start: ``identity`` leaves the outputs as they are, to the bit, until it is trained; ``published`` starts the
            module as its paper does.
        seed: of the new modules' weights.
        example: as for `watch`; one image of noise of the model's own size if None. One pass finds the channels.
        channels_last: whether the maps are (B, H, W, C); if None, a map that looks like that is refused.
        name: of the child that holds what is attached.

    Raises:
        InvalidRequest: a path names nothing, or something that gives no map, or the module does not fit there.
    """
    _check_bare(model, name, start)
    own_prefixes = tuple(f"{path}." for path, child in model.named_children() if isinstance(child, AttachedModules))
    named = submodules(model, several(at))
    chosen = {path: host for path, host in named.items() if not f"{path}.".startswith(own_prefixes)}
    if not chosen:
        raise InvalidRequest("Say at which submodules: at='layer*.*.bn3'.")
    container = getattr(model, name, None)
    for path, host in chosen.items():
        if isinstance(host, torch.jit.ScriptModule):
            raise InvalidRequest(f"{path} is TorchScript, which runs no hooks. Choose a layer that is none.")
        if isinstance(container, AttachedModules) and key(path) in container:
            class_name = type(container[key(path)].module).__name__
            raise InvalidRequest(f"{path} has {class_name} attached already; remove it first, or give name=.")
    call = inputs(model, example) if example is not None else ((_noise(model),), {})
    outputs = outlines(model, call)
    shapes = {path: map_shape(path, outputs, channels_last) for path in chosen}
    attached_modules: dict[str, Attached] = {}
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        for path, host in chosen.items():
            fresh = _make(module, path, shapes[path], options)
            output = outputs[path][0]
            attached = Attached(fresh, start == "identity", channels_last or False)
            attached_modules[path] = attached.to(output.device, output.dtype).train(host.training)
    return _install(model, name, attached_modules, shapes, call, start)


def _install(
    model: nn.Module,
    name: str,
    attached_modules: dict[str, Attached],
    shapes: dict[str, tuple[int, int]],
    call: Inputs,
    start: Start,
) -> Attachment:
    if not hasattr(model, name):
        model.add_module(name, AttachedModules())
    container: AttachedModules = getattr(model, name)
    hosts = named_modules(model)
    handles: dict[str, RemovableHandle] = {}
    for path, attached in attached_modules.items():
        container[key(path)] = attached
        handles[path] = hosts[path].register_forward_hook(RunAttached(attached))
    try:
        report = _report(model, attached_modules, shapes, call, start)
    except BaseException:
        Attachment(
            model, name, handles, AttachReport(model="", start=start, modules=(), parameters=0, identity=True)
        ).remove()
        raise
    return Attachment(model, name, handles, report)


def _report(
    model: nn.Module,
    attached_modules: dict[str, Attached],
    shapes: dict[str, tuple[int, int]],
    call: Inputs,
    start: Start,
) -> AttachReport:
    """What the modules do to the activations of one pass."""
    starts_of: dict[str, tuple[float | None, bool]] = {}

    def note(path: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
            (arrived,) = args
            if output.is_meta:
                starts_of[path] = (None, start == "identity")
                return
            spread = float(arrived.float().std(correction=0))
            kept = float(output.float().std(correction=0)) / spread if spread > 0 else None
            starts_of[path] = (kept, torch.equal(arrived, output))

        return hook

    with ExitStack() as leaving, at_rest(model):
        for path, attached in attached_modules.items():
            leaving.callback(attached.register_forward_hook(note(path)).remove)
        model(*call[0], **call[1])
    entries = tuple(
        AttachedModule(
            path=path,
            module=type(attached.module).__name__,
            channels=shapes[path][0],
            parameters=sum(parameter.numel() for parameter in attached.parameters() if parameter.requires_grad),
            kept=starts_of[path][0],
            identity=starts_of[path][1],
        )
        for path, attached in attached_modules.items()
    )
    return AttachReport(
        model=type(model).__name__,
        start=start,
        modules=entries,
        parameters=sum(entry.parameters for entry in entries),
        identity=all(entry.identity for entry in entries),
    )


def _make(module: str | Maker, path: str, shape: tuple[int, int], options: dict[str, Any]) -> nn.Module:
    """A new module for the channels and the side of one map.

    Raises:
        InvalidRequest: the module does not fit there.
    """
    channels, side = shape
    if not isinstance(module, str):
        fresh: Any = module(channels, **options)
        if not isinstance(fresh, nn.Module):
            raise InvalidRequest(f"What makes the module gave {describe(fresh)} for {channels} channels, no nn.Module.")
        return fresh
    kind = modules[module]
    checked = option_forms.check(module, kind, options)
    try:
        return kind.at(_slot(channels, side), **checked)
    except AttentionError as error:
        fitting = ", ".join(name for name, other in modules.items() if _fits(other, channels, side)) or "none"
        raise InvalidRequest(f"{path}: {error} Modules that fit {channels} channels there: {fitting}.") from error


def _fits(kind: type[AttentionModule], channels: int, side: int) -> bool:
    try:
        with torch.device("meta"):
            kind.at(_slot(channels, side))
    except AttentionError:
        return False
    return True


def _slot(channels: int, side: int) -> Slot:
    slot = Slot("standard", 1, 1, channels)
    slot.side = side
    return slot


def _check_bare(model: nn.Module, name: str, start: str) -> None:
    """Raise InvalidRequest unless modules can be attached to a model under a name.

    Raises:
        InvalidRequest: it is wrapped, compiled or scripted, or owns that name.
    """
    if isinstance(model, nn.DataParallel):
        raise InvalidRequest("Attach before wrapping: DataParallel's copies would share one module on one device.")
    if isinstance(model, nn.parallel.DistributedDataParallel):
        raise InvalidRequest("Attach before wrapping: DistributedDataParallel averages gradients of what it was given.")
    if "_orig_mod" in getattr(model, "_modules", {}) or getattr(model, "_compiled_call_impl", None) is not None:
        raise InvalidRequest("Attach before compiling: the compiled code would pass the new modules by.")
    if isinstance(model, torch.jit.ScriptModule):
        raise InvalidRequest("This model is TorchScript, which runs no hooks. Give the nn.Module it was made from.")
    if not isinstance(model, nn.Module):
        raise InvalidRequest(f"{describe(model)} is no model: an nn.Module is needed.")
    if start not in get_args(Start):
        raise InvalidRequest(
            f"A module starts as identity or published, not {start!r}.{did_you_mean(start, get_args(Start))}"
        )
    if not name.isidentifier() or (hasattr(model, name) and not isinstance(getattr(model, name), AttachedModules)):
        raise InvalidRequest(f"{type(model).__name__} has something called {name!r} of its own; give another name=.")


def _noise(model: nn.Module) -> Tensor:
    """One image of noise of the model's own size, on its device."""
    first = next((tensor for tensor in model.parameters() if tensor.is_floating_point()), torch.empty(0))
    noise = torch.randn(1, *own_size(model), generator=torch.Generator().manual_seed(0))
    return noise.to(first.device, first.dtype)
