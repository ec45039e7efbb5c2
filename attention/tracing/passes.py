"""One forward pass of a watched model in one thread: which module runs, and the gates that are met, by name.

A gate has the name of the module that multiplies, with #2, #3 for its further gates in the same call and @2, @3 for
further calls of the same module in one pass.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor, nn

from attention.errors import InvalidRequest
from attention.reports.gates import ROOT, UnclearGate, WatchedGate
from attention.spec import GateKind
from attention.tracing.flow import Flow, Product, Shape, Tag, kind_of


class Visitor(Protocol):
    """Protocol of what looks at every gate that a forward pass meets, or replaces it."""

    def visit(self, gate: WatchedGate, weights: Tensor) -> Tensor | None:
        """Say what to use in place of the weights; None leaves them alone."""

    def passed(self, summary: "Summary") -> None:
        """Hear that a pass of the whole model has ended without an error.

        Raises:
            InvalidRequest: it did not meet what it should have.
        """


@dataclass
class Summary:
    """Gates and obstacles that one forward pass met."""

    model: str
    gates: list[WatchedGate] = field(default_factory=list)
    unclear: dict[tuple[str, str, Shape], UnclearGate] = field(default_factory=dict)
    products: int = 0
    convolutions: int = 0
    quantised: str = ""

    def check(self) -> None:
        """Raise InvalidRequest unless the gates of the model that ran can be seen.

        Raises:
            InvalidRequest: it is quantised, or has none.
        """
        if self.quantised:
            raise InvalidRequest(
                f"This model is quantised ({self.quantised}): its products are integers and cannot be replaced. "
                "Give the float model."
            )
        if not self.gates:
            raise InvalidRequest(self.no_gates())

    def no_gates(self) -> str:
        """What was searched where no gate was found, and what to do."""
        return (
            f"{self.model} has no gates: {self.convolutions} convolutions, {self.products} products with a bounded "
            'weight in one pass. Attach one (attention.attach), or point at a submodule: gates={"path": "channel"}.'
        )


class Modules(Protocol):
    """Protocol of what a forward pass asks about modules."""

    def class_of(self, path: str) -> str:
        """Name of a module's class."""

    def mechanism_of(self, path: str) -> str | None:
        """Name of a module's mechanism, if it is a known one."""

    def attends(self, path: str) -> bool:
        """Whether a module's class is known to be a unit of attention, convolutions and all."""


@dataclass
class _Frame:
    """A module that is running: its path, which call of it in this pass, and how many gates it has met."""

    path: str
    call: int
    inputs: frozenset[int] = frozenset()  # ids of the tensors it was given
    gates: int = 0

    def name(self) -> str:
        """Name of its latest gate."""
        path = self.path or ROOT
        return path + (f"#{self.gates}" if self.gates > 1 else "") + (f"@{self.call}" if self.call > 1 else "")


class Pass:
    """One forward pass in one thread; hears from `Flow` of products, names them and shows them to visitors.

    Args:
        modules: what is known of the modules that run.
        visitors: who looks, in the order they came.
        model: the model that runs, or its replica; None if its gates are known without following values.
    """

    def __init__(self, modules: Modules, visitors: Sequence[Visitor], model: nn.Module | None) -> None:
        self.flow = Flow(model, self) if model is not None else None
        self.running: list[_Frame] = []
        self.calls: Counter[str] = Counter()
        self.pointed: Counter[str] = Counter()
        self.summary = Summary(modules.class_of(""))
        self._modules = modules
        self._visitors = visitors

    def begin(self) -> None:
        """Follow values from here on."""
        if self.flow is not None:
            self.flow.__enter__()  # type: ignore[no-untyped-call]

    def end(self) -> None:
        """Follow values no longer."""
        if self.flow is not None:
            self.flow.__exit__(None, None, None)  # type: ignore[no-untyped-call]
            self.summary.convolutions = self.flow.convolutions

    def enter(self, path: str, args: Sequence[object] = ()) -> None:
        """Note that a module has begun."""
        self.calls[path] += 1
        self.running.append(_Frame(path, self.calls[path], frozenset(map(id, args))))

    def leave(self, path: str) -> None:
        """Take a module off, and those inside it that an error has left behind."""
        while self.running and self.running.pop().path != path:
            pass

    def met(self, product: Product) -> Tensor | None:
        """Name a product's gate and show it; what it is replaced by, if it is."""
        self.summary.products += 1
        frame, shape, choice = self.running[-1], tuple(product.weights.shape), product.tag.choice
        kind = kind_of(shape, product.map_shape, choice)
        if kind is None:
            self.unclear("add" if product.added else "mul", shape, product.tag)
            return None
        frame.gates += 1
        gate = WatchedGate(
            path=frame.name(),
            kind=kind[0],
            neutral=None if choice else 0.0 if product.added else 1.0,
            module=self._modules.class_of(frame.path),
            mechanism=self._modules.mechanism_of(frame.path),
            activation=None if product.added and not product.tag.bound else product.tag.bound,
            axis=kind[1],
            shape=shape,
            map_shape=product.map_shape,
            static=not product.tag.depends,
            separable=self._modules.attends(frame.path) or product.map_id in frame.inputs,
        )
        return self.visit(gate, product.weights)

    def unclear(self, operation: str, shape: Shape, tag: Tag) -> None:
        """Keep what may hide a gate."""
        path = self.running[-1].path or ROOT
        kind: GateKind | None = "matrix" if tag.choice and operation not in ("mul", "add") else None
        gate = UnclearGate(path=path, operation=operation, activation=tag.bound, kind=kind, shape=shape)
        self.summary.unclear[path, operation, shape] = gate

    def quantised(self, operation: str) -> None:
        """Keep the first operation on integers."""
        self.summary.quantised = self.summary.quantised or f"{operation} at {self.running[-1].path or ROOT}"

    def visit(self, gate: WatchedGate, weights: Tensor) -> Tensor | None:
        """Show a gate to all visitors in the order they came; what they make of it, or None if they leave it."""
        self.summary.gates.append(gate)
        current = weights
        for visitor in tuple(self._visitors):
            put = visitor.visit(gate, current)
            current = current if put is None else put
        return None if current is weights else current

    def show(self, gate: WatchedGate, weights: Tensor) -> Tensor | None:
        """Show a gate whose weights leave a module, and take note that they belong to a gate."""
        if self.flow is None:
            return self.visit(gate, weights)
        self.flow.paused = True
        try:
            put = self.visit(gate, weights)
        finally:
            self.flow.paused = False
        self.flow.know(weights if put is None else put)
        return put
