"""What tests of checkpoints need: networks whose every number is random, and files of their tensors."""

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from attention.build import build
from attention.network import describe
from attention.reports.parts.checkpoints import LoadReport
from attention.spec import Variant
from attention.weights.find import Checkpoints

State = dict[str, Tensor]


def randomised(model: nn.Module, seed: int = 0) -> nn.Module:
    """Every parameter and statistic random, so that nothing hides behind a zero or a one."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                drawn = torch.rand(value.shape, generator=generator)
                if name.endswith("running_var") or value.dim() == 1:
                    value.copy_(drawn + 0.5)
                else:
                    value.copy_((drawn - 0.5) * 2 * (3 / max(value[0].numel(), 1)) ** 0.5)
    return model.eval()


def trained(name: str, seed: int = 0) -> nn.Module:
    """A network as if it had been trained: not as `build` makes it."""
    return randomised(build(Variant.parse(name)), seed)


def write(path: Path, state: Mapping[str, Tensor], spell: Callable[[str], str] = str) -> Path:
    """Write tensors as safetensors, under the names that ``spell`` makes of theirs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({spell(name): value.contiguous() for name, value in state.items()}, path)
    return path


def photos(size: int = 32, count: int = 2) -> Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(9))


@torch.no_grad()
def logits(model: nn.Module, size: int = 32) -> Tensor:
    return model.eval()(photos(size))


TENSORS = 19 + 19 * 5 + 2
"""A ResNet-20's: convolutions, the five of each normalisation, the classifier's two."""


class Bomb:
    """What runs when it is unpickled."""

    went_off = False

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return setattr, (Bomb, "went_off", True)


def report_of(name: str, checkpoints: Checkpoints) -> LoadReport:
    report = describe(Variant.parse(name), checkpoints).load
    assert report is not None
    return report


def stored(folder: Path, name: str, **changes: Tensor | None) -> Checkpoints:
    """A folder with the checkpoint ``it`` of a network, with some tensors put in or, if None, left out."""
    state = {**trained(name).state_dict(), **{key.replace("__", "."): value for key, value in changes.items()}}
    write(folder / "it.safetensors", {key: value for key, value in state.items() if value is not None})
    return Checkpoints(folder)
