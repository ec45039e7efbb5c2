"""The ledger: every operation that a network runs on one image, with what it costs by formula and shape.

The shape of an image is sent through a network on the meta device, which has shapes and no numbers. Every operation
on the way is met by a rule that says what it costs; an operation without a rule is named. So the spelling of the maths
does not matter: ``nn.Conv1d`` and ``F.conv1d`` write the same row.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import lru_cache, partial
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from attention.counting.rules import ENTRYWISE, FREE, IN_PLACE, MACS, MADE, POOLING, SHAPES, Find, Shape
from attention.gate import Gate, Slot
from attention.models.operations import operation

FLOAT_BYTES = 4
UNUSED = "unused"
"""The operation of a row for parameters and buffers that no operation has read."""


class CountedOperation(NamedTuple):
    """An operation of a forward pass of one image, and what it costs."""

    layer: str  # path of the module that ran it
    module: str  # class of that module
    operation: str  # name of the operation, the same for all its spellings
    spelling: str  # as it was called: F.relu (so does nn.ReLU), torch.relu, or relu for a method or an operator
    attention: bool  # whether it ran inside a slot
    seen: Shape  # of the first input
    shape: Shape  # of the output
    biased: bool  # a convolution or matrix product that adds a bias; a normalisation that scales and shifts
    window: int  # places that a convolution's kernel covers; 0 for others
    parameters: int  # trainable numbers, frozen or not, that it is the first to use
    buffers: int  # other numbers kept with the network that it is the first to use
    macs: int
    elementwise: int  # entries written by what is neither multiply-accumulates nor pooling
    pooling: int  # entries read by pooling
    bytes: int  # read and written in float32, nothing fused
    activation_bytes: int  # of the output, where it is new memory

    @property
    def amounts(self) -> tuple[int, ...]:
        """The numbers of an operation that sums are taken of: from parameters to activation bytes."""
        return self[9:]

    @property
    def entries(self) -> int:
        """Numbers in the output."""
        return prod(self.shape)


class _Rule(NamedTuple):
    """Facts about a torch function that counting needs."""

    name: str
    spelling: str
    free: bool
    silent: bool
    in_place: bool
    macs: Callable[..., int | None] | None


@lru_cache(maxsize=4096)
def _rule(func: Callable[..., Any]) -> _Rule:
    name, spelling, in_place = operation(func)
    return _Rule(name, spelling, name in FREE, name in MADE, in_place, MACS.get(name))


QUIET = (nn.Sequential.forward, nn.Identity.forward, nn.Module.forward)
"""What modules that run no operation of their own do."""


class _Memory:
    """Held by every tensor that lives in it; when the last one goes, its bytes are free again."""

    __slots__ = ("bytes", "ledger")

    def __init__(self, ledger: "Ledger", size: int) -> None:
        self.ledger, self.bytes = ledger, size
        ledger.held_bytes += size
        ledger.peak_bytes = max(ledger.peak_bytes, ledger.held_bytes)

    def __del__(self) -> None:
        self.ledger.held_bytes -= self.bytes


class Runner(NamedTuple):
    """The module that is running: its path, its class, and whether it is inside a slot."""

    layer: str
    module: str
    attention: bool


class Ledger(TorchFunctionMode):
    """While it is entered, writes a row for every torch operation that a network runs.

    Args:
        model: whose parameters and buffers are paid for by the operation that first uses them.
        shapes: operation -> shape of its output; others are left to torch.
        attention: paths of modules whose operations are attention's; the slots if None.
        numbers: whether tensors have numbers, so that what writes over them has to be run.
    """

    def __init__(
        self,
        model: nn.Module,
        shapes: Mapping[str, Find] = SHAPES,
        attention: Iterable[str] | None = None,
        numbers: bool = False,
    ) -> None:
        super().__init__()
        self.rows: list[CountedOperation] = []
        self.not_counted: set[str] = set()
        self.held_bytes = self.peak_bytes = 0
        self.modules = dict(model.named_modules())
        self.slots = {path: module for path, module in self.modules.items() if isinstance(module, Slot)}
        self.gate_shapes: dict[str, Shape] = {}
        self._inside = tuple(f"{path}." for path in (self.slots if attention is None else attention))
        self._numbers = numbers
        self._running = [Runner("", type(model).__name__, False)]
        self._shapes = shapes
        self._unpaid = {
            id(value): (path, value.numel() if learnt else 0, 0 if learnt else value.numel())
            for path, value, learnt in _owned(model)
        }
        self._pending = (0, 0)

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        rule = _rule(func)
        if rule.free:
            return self._look(func, args, kwargs)
        if rule.in_place or (rule.name in IN_PLACE and _told_to(args, kwargs)):
            out = func(*args, **kwargs) if self._numbers else args[0]
        else:
            find = self._shapes.get(rule.name)
            shape = find(*args, **kwargs) if find else None
            out = func(*args, **kwargs) if shape is None else torch.empty(shape, device="meta")
        result = out[0] if isinstance(out, tuple) and out else out
        if isinstance(result, Tensor) and not rule.silent:
            self._write(rule, result, args, kwargs)
        elif rule.name == "setitem" and isinstance(args[-1], Tensor):  # a copy into memory that is there already
            args[-1].__dict__.setdefault("memory", args[0].__dict__.get("memory"))
            self._write(rule, args[-1], (args[-1],), {})
        return out

    def receive(self, image: Tensor) -> Tensor:
        """Count the memory of the input image, and return the image."""
        image.__dict__["memory"] = _Memory(self, FLOAT_BYTES * image.numel())
        return image

    def forget(self) -> None:
        """Remove the ledger's memory marks from the network's parameters and buffers."""
        for _, value, _ in _owned(next(iter(self.modules.values()))):
            value.__dict__.pop("memory", None)

    @contextmanager
    def following(self) -> Iterator[None]:
        """Inside the block the ledger knows which module is running; the hooks leave with it."""
        with ExitStack() as leaving:
            for path, module in self.modules.items():
                if isinstance(module, torch.jit.ScriptModule):  # runs without Python, so nothing of it is met
                    if not isinstance(self.modules.get(path.rpartition(".")[0]), torch.jit.ScriptModule):
                        self.not_counted.add(f"{path} (TorchScript)")
                    continue
                if isinstance(module, Gate):
                    handles = [module.register_forward_hook(partial(self._note, path))]
                elif not path or type(module).forward in QUIET:
                    continue
                else:
                    runner = Runner(path, type(module).__name__, f"{path}.".startswith(self._inside))
                    handles = [
                        module.register_forward_pre_hook(partial(self._enter, runner)),
                        module.register_forward_hook(self._leave),
                    ]
                for handle in handles:
                    leaving.callback(handle.remove)
            yield

    def _enter(self, runner: Runner, *_: Any) -> None:
        self._running.append(runner)

    def _leave(self, *_: Any) -> None:
        self._running.pop()

    def _note(self, path: str, gate: nn.Module, args: Any, weights: Tensor) -> None:
        self.gate_shapes[path] = tuple(weights.shape)

    def close(self) -> None:
        """Write down the parameters and buffers that nothing has used."""
        for path, parameters, buffers in (*self._unpaid.values(), ("", *self._pending)):
            if parameters or buffers:
                attention, layer = path.startswith(self._inside), path.rpartition(".")[0]
                numbers = (parameters, buffers, 0, 0, 0, 0, 0)
                self.rows.append(CountedOperation(layer, "", UNUSED, "", attention, (), (), False, 0, *numbers))
        self._unpaid, self._pending = {}, (0, 0)

    def _look(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a view; a copy takes memory and is read and written, but no arithmetic is done."""
        out, x = func(*args, **kwargs), args[0] if args else next(iter(kwargs.values()))
        self._pending = self._pay((x,))
        memory = x.__dict__.get("memory")
        for tensor in out if isinstance(out, tuple | list) else (out,):
            if isinstance(tensor, Tensor) and tensor is not x:
                if tensor.untyped_storage()._cdata == x.untyped_storage()._cdata:
                    if memory is not None:
                        tensor.__dict__["memory"] = memory
                else:
                    self._write(_rule(func), tensor, args, kwargs)
        return out

    def _pay(self, inputs: Iterable[Tensor]) -> tuple[int, int]:
        """Parameters and buffers among the inputs that nothing has used yet."""
        parameters, buffers = self._pending
        for value in inputs:
            if id(value) in self._unpaid:
                _, more_parameters, more_buffers = self._unpaid.pop(id(value))
                parameters += more_parameters
                buffers += more_buffers
        return parameters, buffers

    def _write(self, rule: _Rule, out: Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        name = rule.name
        values = (*args, *kwargs.values()) if kwargs else args
        inputs = [value for value in values if isinstance(value, Tensor)]
        for several in values:
            if isinstance(several, list | tuple):
                inputs += [value for value in several if isinstance(value, Tensor)]
        entries = out.numel()
        new = "memory" not in out.__dict__
        size = FLOAT_BYTES * entries if new else 0
        if new:
            out.__dict__["memory"] = _Memory(self, size)
        entrywise, pooling = name in ENTRYWISE, name in POOLING
        macs = rule.macs(out, *args, **kwargs) if rule.macs else 0
        if macs is None or not (rule.macs or entrywise or pooling or rule.free or name == "setitem"):
            self.not_counted.add(name)
        parameters, buffers = self._pay(inputs)
        self._pending = (0, 0)
        runner = self._running[-1]
        self.rows.append(
            CountedOperation(
                layer=runner.layer,
                module=runner.module,
                operation=name,
                spelling=rule.spelling,
                attention=runner.attention,
                seen=tuple(inputs[0].shape) if inputs else (),
                shape=tuple(out.shape),
                biased=_biased(rule, args, kwargs),
                window=prod(inputs[1].shape[2:]) if rule.macs and name.startswith("conv") else 0,
                parameters=parameters,
                buffers=buffers,
                macs=macs or 0,
                elementwise=entries if entrywise else 0,
                pooling=inputs[0].numel() if pooling else 0,
                bytes=FLOAT_BYTES * (entries + sum(value.numel() for value in inputs)),
                activation_bytes=size,
            )
        )


def _told_to(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether an activation is told to write over its input."""
    return bool(kwargs.get("inplace")) or any(value is True for value in args[1:])


def _biased(rule: _Rule, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether an operation has a bias: third of a convolution's and a matrix product's arguments."""
    if rule.macs:
        return (args[2] if len(args) > 2 else kwargs.get("bias")) is not None
    if rule.name.endswith("_norm"):
        return (args[3] if len(args) > 3 else kwargs.get("weight")) is not None
    return False


def _owned(model: nn.Module) -> Iterator[tuple[str, Tensor, bool]]:
    """Path, tensor, and whether it is a parameter, frozen or not, of all numbers that a network keeps."""
    for path, parameter in model.named_parameters():
        yield path, parameter, True
    for path, buffer in model.named_buffers():
        if buffer.is_floating_point():
            yield path, buffer, False


def walk(
    model: nn.Module, *shape: int, shapes: Mapping[str, Find] = SHAPES, attention: Iterable[str] | None = None
) -> Ledger:
    """Send one image's shape (3, H, W), or another input's, through a network: the filled ledger.

    Args:
        model: on the meta device, where nothing is computed; one whose numbers decide its way is run on its own.
        attention: paths of modules whose operations are attention's; the slots if None.

    Raises:
        RuntimeError, ValueError: what torch says of a shape that does not fit.
    """
    first = next(model.parameters(), torch.empty(0, device="meta"))
    ledger = Ledger(model, shapes if first.is_meta else {}, attention, numbers=not first.is_meta)
    with torch.no_grad(), ledger.following():
        image = ledger.receive(torch.zeros(1, *shape, device=first.device))
        with ledger:
            model(image)
    ledger.close()
    if not first.is_meta:
        ledger.forget()
    return ledger
