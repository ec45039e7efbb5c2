"""Small models that users might have: a classifier, a segmenter, a detector; inputs are (B, 3, 32, 32)."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

SIDE = 32


class Excite(nn.Module):
    """Squeeze and excitation as somebody wrote it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(channels, 2, 1), nn.Conv2d(2, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.up(torch.relu(self.down(x.mean((2, 3), keepdim=True)))))


class Scale(nn.Module):
    """Surgery: multiply by one number."""

    def __init__(self, number: float) -> None:
        super().__init__()
        self.number = number

    def forward(self, x: Tensor) -> Tensor:
        return x * self.number


class Classifier(nn.Module):
    """Two gates of channels, and one of its own parameters that is the same for every image."""

    input_size = SIDE

    def __init__(self, classes: int = 5) -> None:
        super().__init__()
        self.stem, self.norm, self.se = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), Excite(8)
        self.down, self.se2 = nn.Conv2d(8, 12, 3, stride=2, padding=1), Excite(12)
        self.fixed = nn.Parameter(torch.randn(1, 12, 1, 1))
        self.head = nn.Linear(12, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.se(self.norm(self.stem(x)))
        x = self.se2(torch.relu(self.down(torch.relu(x))))
        return self.head((x * torch.sigmoid(self.fixed)).mean((2, 3)))


class Inverted(nn.Module):
    """Gates of channels as in MobileNetV3, before a convolution, and as in a ResNet, after a normalisation."""

    input_size = SIDE

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm, self.se = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), Excite(8)
        self.project = nn.Conv2d(8, 12, 3, stride=2, padding=1, groups=4)
        self.norm2, self.se2, self.head = nn.BatchNorm2d(12), Excite(12), nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.se(nn.functional.hardswish(self.norm(self.stem(x))))
        x = torch.relu(self.se2(self.norm2(self.project(x))))
        return self.head(x.mean((2, 3)))


class Twice(nn.Module):
    """One module that runs twice in a pass."""

    input_size = SIDE

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.se, self.head = nn.Conv2d(3, 8, 3, padding=1), Excite(8), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.se(torch.relu(self.stem(x)))
        return self.head(self.se(torch.relu(x)).mean((2, 3)))


class Segmenter(nn.Module):
    """Gives a mapping with a map of three classes, as torchvision's do."""

    input_size = SIDE

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.se, self.head = nn.Conv2d(3, 8, 3, padding=1), Excite(8), nn.Conv2d(8, 3, 1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"out": self.head(self.se(torch.relu(self.stem(x))))}


class Detector(nn.Module):
    """Takes a list of photos and gives boxes with scores, whose number depends on the numbers of the photo."""

    input_size = SIDE

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.se, self.head = nn.Conv2d(3, 8, 3, stride=4, padding=1), Excite(8), nn.Conv2d(8, 5, 1)

    def forward(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        found = []
        gated = self.se(torch.relu(self.stem(torch.stack(list(images)))))
        for row in self.head(gated).flatten(2).transpose(1, 2):
            scores = row[:, 4].sigmoid()
            kept = int((scores > 0.4).sum().item())
            best = scores.argsort(descending=True)[:kept]
            corner = row[best, :2].abs()
            found.append({"boxes": torch.cat([corner, corner + 1 + row[best, 2:4].abs()], 1), "scores": scores[best]})
        return found


def seeded(make: Callable[[], nn.Module]) -> nn.Module:
    """A model in eval mode with the weights of seed 0, and statistics that are not those of the start."""
    torch.manual_seed(0)
    model = make()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None and module.running_var is not None:
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    return model.eval()
