"""An analysis is a function from a request to a report that may ask only its Lab for help.

    @analyses.register("cost")
    def cost(request: CostRequest, lab: AnyLab) -> CostReport: ...

The Lab is the only door to the world: run a forward pass, fan work out, read files, say how far it is. So the
same analysis runs in a thread, in a process of its own, or on a cluster, and cannot tell which.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from attention.reports.gates import GateSite
from attention.reports.parts.network import Network
from attention.spec import Ablation, Plain, Variant

if TYPE_CHECKING:
    from torch import Tensor, nn

    from attention.data.files import Files

S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True)
class Outputs:
    """What a forward pass gives: logits (B, K), and every gate by path with the batch first."""

    logits: "Tensor"
    gates: "Mapping[str, Tensor]"
    sites: tuple[GateSite, ...]


class AnyLab(Protocol):
    """All that an analysis may ask of the world."""

    @property
    def files(self) -> "Files":
        """Images, data sets and checkpoints."""

    @property
    def device(self) -> str:
        """Where networks run: a torch device, such as ``cpu`` or ``cuda:0``."""

    @property
    def dtype(self) -> str:
        """Number format that `forward` runs in; what it gives is float32. A network of one's own is float32."""

    def describe(self, variant: Variant) -> Network:
        """All that is known of a network, looked up once.

        Raises:
            UnknownName, BadOption, BadPlacement: the variant names something that is not there.
            BadCheckpoint, NotFound: its weights do not fit, or are not there.
        """

    def forward(self, variant: Variant, images: "Tensor", ablation: Ablation | None = None) -> Outputs:
        """Run preprocessed images (B, 3, H, W) through a variant, each image as if it were alone."""

    def forward_each(self, variant: Variant, images: "Tensor", ablations: Sequence[Ablation]) -> "Tensor":
        """Logits of images (B, 3, H, W) untouched, then under each ablation, for little more than one pass:
        (1 + A, B, K).
        """

    def network(self, variant: Variant) -> "nn.Module":
        """A network of the caller's own, in eval mode on `device`: to differentiate, to change, to time."""

    def map(
        self, fn: "Step[T, S]", items: Sequence[T], on_progress: Callable[[T, S], None], lost: Callable[[T, str], S]
    ) -> Iterator[S]:
        """Apply ``fn`` to every item, perhaps on other machines; results come as they finish.

        Args:
            fn: the work on one item; plain enough to travel. It says what it has come to so far as often as it likes.
            on_progress: called here with an item and what it has come to; what it raises ends the work on all.
            lost: the result of an item whose machine went away in the middle of it, twice, and how that was.
        """

    def progress(self, done: int, total: int, note: str = "", partial: Plain | None = None) -> None:
        """Say how far the work is, and show what is known so far as a report that is not complete yet.

        Raises:
            Cancelled: the answer is no longer wanted.
        """


Step = Callable[[T, Callable[[S], None]], S]
"""Work on one item, which may say what it has come to before it has its result."""


def in_order(
    fn: Step[T, S], items: Sequence[T], on_progress: Callable[[T, S], None], lost: Callable[[T, str], S]
) -> Iterator[S]:
    """Do the work of `AnyLab.map` in this process, one item after the other."""
    return (fn(item, partial(on_progress, item)) for item in items)


Analysis = Callable[[Any, AnyLab], Plain]
