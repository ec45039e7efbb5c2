"""Bounded values, followed from operation to operation through a forward pass until they multiply a map.

A gate is a bounded number that multiplies a map: that is what all attention has in common, whatever its class is
called. `Flow` is entered around a forward pass, tags every tensor on the way, and tells its listener of every product
of a bounded tensor and a map. What it tells an activation by: SiLU, hard-swish, GELU and Mish written by hand multiply
x by a bounded number, too, but one that was computed from x entry by entry, so both have the same *root*.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from attention.models.operations import Operation, names, operation
from attention.spec import GateKind

Shape = tuple[int, ...]

BOUNDING = names("sigmoid hardsigmoid softmax softmin tanh softsign erf expit gumbel_softmax")
"""Operations whose results are bounded."""

CHOICES = names("softmax softmin gumbel_softmax")
"""Bounding operations whose results sum to 1."""

LIMITING = names("clamp clip hardtanh relu6 clamp_min clamp_max")
"""Operations that cut values off, so that two limits inside 0..1 bound them."""

VIEWS = names(
    "view reshape flatten unflatten unsqueeze squeeze permute transpose swapaxes swapdims movedim moveaxis t T mT H "
    "expand expand_as view_as reshape_as contiguous clone detach to type type_as float double half bfloat16 alias data "
    "lift_fresh dropout dropout1d dropout2d dropout3d alpha_dropout feature_dropout cpu cuda requires_grad"
)
"""Operations whose result has the entries of their first input: all that is known of these travels along."""

CARRYING = names(
    "chunk split split_with_sizes tensor_split unbind getitem select narrow index_select gather repeat "
    "repeat_interleave tile cat concat stack interpolate upsample mean sum max amax roll flip unfold pixel_shuffle"
)
"""Operations whose result is bounded if all they combine is, though it has other entries."""

ARITHMETIC = names("add sub rsub mul div pow neg sqrt square abs positive relu true_divide")
"""Operations that keep bounded what is combined with numbers, parameters and other bounded tensors only."""

ENTRYWISE = (
    ARITHMETIC
    | LIMITING
    | BOUNDING
    | names(
        "exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan sinh cosh asinh acosh atanh erf erfc rsqrt "
        "reciprocal leaky_relu elu celu selu gelu silu mish softplus softsign tanhshrink hardshrink softshrink "
        "threshold rrelu prelu hardswish logsigmoid sign floor ceil round trunc frac nan_to_num masked_fill where lerp "
        "maximum minimum addcmul addcdiv fmod remainder float_power xlogy sgn logit pow atan2"
    )
) - CHOICES
"""Operations that compute each entry of their result from the entries at its own place."""

MADE = names(
    "empty empty_like new_empty zeros ones zeros_like ones_like full full_like new_zeros new_ones new_full "
    "new_tensor tensor arange linspace eye rand randn rand_like randn_like"
)
"""Operations that make a tensor that does not depend on values."""

MATRIX_PRODUCTS = names("matmul mm bmm baddbmm einsum bilinear tensordot")
WEIGHING = {**dict.fromkeys(names("conv1d conv2d conv3d linear"), 1), "addcmul": 1, "lerp": 2}
"""Operations that a gate may hide in -> the first argument that would be its weight."""


class Tag(NamedTuple):
    """Facts about a tensor's values that the flow of a forward pass gives."""

    root: int  # number of the last operation before it that was not entry by entry
    depends: bool  # on the network's input
    bound: str | None = None  # name of the activation that bounds the values
    clipped: str | None = None  # name of the operation that cut them off at limits beyond 0..1
    choice: bool = False  # from a softmax
    known: bool = False  # weights of a gate that was met already


class Product(NamedTuple):
    """A bounded tensor that multiplies a map, or a number a channel that is added to one."""

    weights: Tensor  # in their smallest form, with as many axes as the map
    shape: Shape  # of the result
    map_shape: Shape  # of the map, with as many axes
    map_id: int  # of the map, to be compared while the pass runs
    tag: Tag
    added: bool


class Listener(Protocol):
    """Protocol of what is told of products during a forward pass."""

    def met(self, product: Product) -> Tensor | None:
        """Say what to multiply with (or to add) in place of the weights; None leaves them alone."""

    def unclear(self, operation: str, shape: Shape, tag: Tag) -> None:
        """Hear of a bounded tensor that went into an operation from which no gate can be read."""

    def quantised(self, operation: str) -> None:
        """Hear of an operation on integers."""


class Flow(TorchFunctionMode):
    """While it is entered, follows bounded values and tells the listener where they multiply a map.

    Args:
        model: whose parameters, buffers and other tensors do not depend on the input.

    Tags are kept beside weak references, so following a pass keeps no activation alive.
    """

    def __init__(self, model: nn.Module, listener: Listener) -> None:
        super().__init__()
        self.paused = False
        self.convolutions = 0
        self._listener = listener
        self._tags: WeakTensorKeyDictionary = WeakTensorKeyDictionary()
        self._fixed = {id(tensor) for tensor in _tensors_of(model)}
        self._written: set[int] = set()
        self._roots = count()

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if self.paused:
            return func(*args, **kwargs)
        called = operation(func)
        out = self._multiply(func, called, args, kwargs) if called.name in ("mul", "add") else func(*args, **kwargs)
        if isinstance(out, Tensor):
            self._follow(func, called, (out,), args, kwargs)
        elif isinstance(out, tuple | list) and out and isinstance(out[0], Tensor):
            self._follow(func, called, [part for part in out if isinstance(part, Tensor)], args, kwargs)
        elif called.name == "setitem":
            depends = any(self.tag(tensor).depends for tensor in _tensors_in(args, {}))
            self._write(args[0], Tag(next(self._roots), depends))
        return out

    def tag(self, tensor: Tensor) -> Tag:
        """The facts about a tensor; one from outside depends on the input unless it belongs to the model."""
        tag: Tag | None = self._tags.get(tensor)  # type: ignore[no-untyped-call]
        fixed = id(tensor) in self._fixed or isinstance(tensor, nn.Parameter)
        if tag is None:
            tag = self._tags[tensor] = Tag(next(self._roots), not fixed)
        elif self._written and not (tag.depends or fixed) and _memory(tensor) in self._written:
            tag = self._tags[tensor] = tag._replace(depends=True)
        return tag

    def _write(self, tensor: Tensor, tag: Tag) -> None:
        """Tag a tensor that was written over; what else looks at its memory depends on the input then, too."""
        if tag.depends and not self.tag(tensor).depends:
            self._written.add(_memory(tensor))
        self._tags[tensor] = tag

    def know(self, tensor: Tensor) -> None:
        """Note that these are the weights of a gate, so that what they multiply is no other one."""
        tag = self.tag(tensor)
        self._tags[tensor] = tag._replace(bound=tag.bound or "gate", known=True)

    def _follow(
        self, func: Any, called: Operation, out: Sequence[Tensor], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        if out[0].is_quantized:
            self._listener.quantised(f"{getattr(func, '__module__', None) or 'torch.Tensor'}.{called.name}")
        if called.name.startswith("conv"):
            self.convolutions += 1
        if called.name in MATRIX_PRODUCTS or called.name in WEIGHING:
            self._look_into(called, args, kwargs)
        name = "reciprocal" if func.__name__ in ("__rdiv__", "__rtruediv__", "__rpow__") else called.name
        tag = self._derive(name, list(_tensors_in(args, kwargs)), args, kwargs)
        if called.in_place:
            return self._write(out[0], tag)
        for number, tensor in enumerate(out):  # two parts of one tensor are no entries of each other
            self._tags[tensor] = tag._replace(root=next(self._roots)) if number else tag

    def _derive(self, name: str, tensors: list[Tensor], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tag:
        """The tag of an operation's result."""
        if not tensors or name in MADE:
            return Tag(next(self._roots), False)
        inputs = [self.tag(tensor) for tensor in tensors]
        if name in VIEWS:
            return inputs[0]
        moving = [tag for tag in inputs if tag.depends]
        roots = {tag.root for tag in moving} if name in ENTRYWISE else set()
        plain = Tag(roots.pop() if len(roots) == 1 else next(self._roots), bool(moving))
        if name in BOUNDING:
            return plain._replace(bound=name, choice=name in CHOICES)
        bounded = [tag for tag in inputs if tag.bound]
        first = inputs[0]
        if name in LIMITING:
            low, high = _limits(name, args, kwargs)
            if first.bound or (low is not None and high is not None and 0 <= low <= high <= 1):
                return plain._replace(bound=first.bound or name, choice=first.choice, known=first.known)
            return plain._replace(clipped=name) if low is not None and high is not None else plain
        values = [tag for tag, tensor in zip(inputs, tensors, strict=True) if tensor.is_floating_point()]
        carried = name in CARRYING and bool(values) and all(tag.bound for tag in values)
        if name in ARITHMETIC and bounded and all(tag.bound or not tag.depends for tag in inputs):
            carried = name not in ("div", "pow") or not (len(inputs) > 1 and inputs[1].depends)
        if carried:
            return plain._replace(
                bound=bounded[0].bound,
                choice=any(tag.choice for tag in bounded),
                known=all(tag.known for tag in bounded),
            )
        if first.clipped and len(inputs) == 1 and name in ("mul", "div", "add", "sub", "rsub"):
            if name in ("mul", "div"):
                return plain._replace(bound=first.clipped)
            return plain._replace(clipped=first.clipped)
        return plain

    def _multiply(self, func: Any, called: Operation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a product or a sum, with other weights if the listener gives them."""
        a, b = _operand(0, "input", args, kwargs), _operand(1, "other", args, kwargs)
        if not (isinstance(a, Tensor) and isinstance(b, Tensor)):
            return func(*args, **kwargs)
        side = self._gating_side(called.name, a, b)
        if side is None:
            return func(*args, **kwargs)
        weights, other = (a, b) if side == 0 else (b, a)
        smallest = shrink(weights, max(weights.dim(), other.dim()))
        shape = tuple(torch.broadcast_shapes(weights.shape, other.shape))  # type: ignore[no-untyped-call]
        map_shape = (1,) * (len(shape) - other.dim()) + tuple(other.shape)
        put = self._tell(Product(smallest, shape, map_shape, id(other), self.tag(weights), called.name == "add"))
        if put is None:
            return func(*args, **kwargs)
        if called.in_place and side == 0:  # the weights themselves are written over
            return func(a.copy_(put.expand_as(a)), *args[1:], **kwargs)
        if len(args) > side:
            return func(*args[:side], put, *args[side + 1 :], **kwargs)
        return func(*args, **{**kwargs, ("input", "other")[side]: put})

    def _tell(self, product: Product) -> Tensor | None:
        self.paused = True
        try:
            return self._listener.met(product)
        finally:
            self.paused = False

    def _gating_side(self, name: str, a: Tensor, b: Tensor) -> int | None:
        """Which of two operands holds the weights of a gate: 0, 1, or None if neither does."""
        tags = self.tag(a), self.tag(b)
        for side, (weights, other) in enumerate(((a, b), (b, a))):
            tag, its = tags[side], tags[1 - side]
            if tag.known or not its.depends or not other.is_floating_point():
                continue
            if name == "mul":
                if tag.bound and not its.bound and other.dim() >= 3 and tag.root != its.root:
                    return side
            elif tag.depends and _added(weights, other):
                return side
        return None

    def _look_into(self, called: Operation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Tell of a bounded tensor in an operation that may hide a gate."""
        inputs = list(_tensors_in(args, kwargs))
        tags = [self.tag(tensor) for tensor in inputs]
        for number, (tensor, tag) in enumerate(zip(inputs, tags, strict=True)):
            others = [other for place, other in enumerate(tags) if place != number and other.depends]
            if tag.bound and tag.depends and not tag.known and others and number >= WEIGHING.get(called.name, 0):
                self._listener.unclear(called.name, tuple(tensor.shape), tag)


def shrink(weights: Tensor, axes: int) -> Tensor:
    """Weights without what `expand` repeated, with axes of size 1 put before them up to a number of axes."""
    for axis, (size, stride) in enumerate(zip(weights.shape, weights.stride(), strict=True)):
        if size > 1 and stride == 0:
            weights = weights.narrow(axis, 0, 1)
    return weights.reshape((1,) * (axes - weights.dim()) + tuple(weights.shape))


def kind_of(weights: Shape, map_shape: Shape, choice: bool) -> tuple[GateKind, int] | None:
    """Kind of a gate and the axis that its channels run over, from its shape beside the map's; None if it fits no kind.

    Both shapes have as many axes. A map is (B, C, H, W); a volume (B, C, D, H, W); a signal (B, C, L); branches that a
    softmax chooses among are (B, M, C, H, W).
    """
    axes = range(1, len(map_shape))
    wide = tuple(axis for axis in axes if weights[axis] > 1)
    shared = tuple(axis for axis in axes if weights[axis] == 1 and map_shape[axis] > 1)  # one weight for many entries
    grown = tuple(axis for axis in axes if map_shape[axis] == 1 and weights[axis] > 1)  # what was no map before
    if grown:
        return ("branch", 2) if grown == (1,) and choice and wide == (1, 2) and len(axes) == 4 else None
    if wide == (1,) or (not wide and map_shape[1] == 1):
        return "channel", 1
    if shared == (1,):
        return "spatial", 2
    if len(axes) == 3 and wide == (3,):
        return "channel", 3
    if wide and not shared:
        return "full", 1
    if len(axes) == 3 and wide in ((1, 2), (1, 3)):
        return ("rows" if wide == (1, 2) else "columns"), 1
    if len(axes) == 4 and choice and wide == (1, 2):
        return "branch", 2
    return None


def _added(weights: Tensor, other: Tensor) -> bool:
    """Whether a sum adds a number a channel to a map: (B, C, 1, 1) + (B, C, H, W)."""
    if weights.dim() != 4 or other.dim() != 4 or weights.shape[1] != other.shape[1]:
        return False
    small = tuple(1 if stride == 0 else size for size, stride in zip(weights.shape, weights.stride(), strict=True))
    return small[2:] == (1, 1) and other.shape[2] * other.shape[3] > 1 and 0 not in other.stride()[2:]


def _limits(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[float | None, float | None]:
    """Lower and upper limit of an operation that cuts off; None where there is none, or where it is a tensor."""
    if name == "relu6":
        return 0, 6
    words = ("min_val", "max_val") if name == "hardtanh" else ("min", "max")
    operands: list[Any] = [_operand(place, word, args, kwargs) for place, word in enumerate(words, start=1)]
    if name == "hardtanh":
        operands = [default if value is None else value for value, default in zip(operands, (-1, 1), strict=True)]
    if name == "clamp_max":
        operands = [None, _operand(1, "max", args, kwargs)]
    low, high = (value if isinstance(value, int | float) else None for value in operands)
    return low, high


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def _operand(place: int, word: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return args[place] if len(args) > place else kwargs.get(word)


def _tensors_in(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Tensor]:
    values: Iterable[Any] = (*args, *kwargs.values()) if kwargs else args
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, tuple | list):
            yield from (part for part in value if isinstance(part, Tensor))


def _tensors_of(model: nn.Module) -> Iterator[Tensor]:
    """Every tensor that a module keeps, plain attributes too (as in the replicas of DataParallel)."""
    for module in model.modules():
        for kept in (module._parameters, module._buffers, module.__dict__):
            yield from (value for value in kept.values() if isinstance(value, Tensor))
