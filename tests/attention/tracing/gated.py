"""Small networks that compute a gate in every way that libraries and papers have; inputs are (B, 8, 6, 6)."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CHANNELS = 8


class Spelling(nn.Module):
    """A squeeze and an excitation, and a product that is said in as many ways as there are."""

    def __init__(self, product: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.fc = nn.Linear(CHANNELS, CHANNELS)
        self.product = product

    def forward(self, x: Tensor) -> Tensor:
        return self.product(x, self.fc(x.mean((2, 3))))


def in_place(x: Tensor, z: Tensor) -> Tensor:
    y = x.clone()
    y *= z.sigmoid()[:, :, None, None]
    return y


def wide(z: Tensor) -> Tensor:
    return z[:, :, None, None]


SPELLINGS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "torch.sigmoid and indexing": lambda x, z: x * torch.sigmoid(z)[:, :, None, None],
    "method and mul_": lambda x, z: x.clone().mul_(z.sigmoid().unsqueeze(-1).unsqueeze(-1)),
    "augmented assignment": in_place,
    "expand_as": lambda x, z: torch.sigmoid(z).view(-1, CHANNELS, 1, 1).expand_as(x) * x,
    "relu6 over 6": lambda x, z: x * wide(F.relu6(z + 3) / 6),
    "hardtanh over 6": lambda x, z: torch.mul(x, wide(F.hardtanh(z + 3, 0, 6) * (1 / 6))),
    "clamp": lambda x, z: x * wide(torch.clamp(0.2 * z + 0.5, 0, 1)),
    "clamp by keyword": lambda x, z: x * wide((0.2 * z + 0.5).clamp(min=0, max=1)),
    "one plus tanh": lambda x, z: x * wide(1 + torch.tanh(z)),
    "torch.special": lambda x, z: x * wide(torch.special.expit(z)),
    "softsign": lambda x, z: x * wide(0.5 + 0.5 * F.softsign(z)),
    "error function": lambda x, z: x * wide((torch.erf(z) + 1) / 2),
    "added back": lambda x, z: x + x * wide(torch.sigmoid(z)),
    "F.hardsigmoid in place": lambda x, z: wide(F.hardsigmoid(z, inplace=True)) * x,
    "keywords of torch.mul": lambda x, z: torch.mul(input=x, other=wide(torch.sigmoid(z))),
    "sum of two": lambda x, z: x * wide(torch.sigmoid(z) + torch.sigmoid(2 * z)),
    "aten": lambda x, z: torch.ops.aten.mul.Tensor(x, wide(torch.ops.aten.sigmoid.default(z))),
    "interpolated": lambda x, z: x * F.interpolate(wide(torch.sigmoid(z)), size=(1, 1)),
    "autocast to half and back": lambda x, z: x * wide(torch.sigmoid(z).bfloat16().float()),
}


class SqueezeExcitation(nn.Module):
    """With the activation as a submodule, as in timm and torchvision."""

    def __init__(self, channels: int = CHANNELS) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, 4, 1)
        self.fc2 = nn.Conv2d(4, channels, 1)
        self.gate = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(self.fc2(F.relu(self.fc1(x.mean((2, 3), keepdim=True)))))


class EcaLayer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.conv = nn.Conv1d(1, 1, 3, padding=1, bias=False)
        self.sigmoid = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(self.pool(x).squeeze(-1).transpose(-1, -2)).transpose(-1, -2).unsqueeze(-1)
        return x * self.sigmoid(y).expand_as(x)


class ChannelGate(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mlp = nn.Conv2d(CHANNELS, CHANNELS, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.mlp(x.mean((2, 3), keepdim=True)) + self.mlp(x.amax((2, 3), keepdim=True)))


class SpatialGate(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        pooled = torch.cat((x.max(1)[0].unsqueeze(1), x.mean(1).unsqueeze(1)), 1)
        return x * torch.sigmoid(self.conv(pooled))


class CBAM(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.channel, self.spatial = ChannelGate(), SpatialGate()

    def forward(self, x: Tensor) -> Tensor:
        return self.spatial(self.channel(x))


class SCSEModule(nn.Module):
    """Gates made by children and multiplied by the parent."""

    def __init__(self) -> None:
        super().__init__()
        self.cse = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(CHANNELS, CHANNELS, 1), nn.Sigmoid())
        self.sse = nn.Sequential(nn.Conv2d(CHANNELS, 1, 1), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        return x * self.cse(x) + x * self.sse(x)


class CoordAtt(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.rows, self.columns = (nn.Conv2d(CHANNELS, CHANNELS, 1) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        y = torch.cat((x.mean(3, keepdim=True), x.mean(2, keepdim=True).transpose(2, 3)), 2)
        a, b = torch.split(F.hardswish(self.conv(y)), [height, width], 2)
        return x * self.columns(b.transpose(2, 3)).sigmoid() * self.rows(a).sigmoid()


class SKUnit(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.branches = nn.ModuleList(nn.Conv2d(CHANNELS, CHANNELS, k, padding=k // 2) for k in (1, 3))
        self.fcs = nn.ModuleList(nn.Linear(CHANNELS, CHANNELS) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        maps = torch.stack([branch(x) for branch in self.branches], 1)  # (B, M, C, H, W)
        squeezed = maps.sum(1).mean((2, 3))
        weights = torch.softmax(torch.stack([fc(squeezed) for fc in self.fcs], 1), 1)  # (B, M, C)
        return (maps * weights[..., None, None]).sum(1)


class ContextBlock(nn.Module):
    """Global context: a number a channel is added."""

    def __init__(self) -> None:
        super().__init__()
        self.mask, self.transform = nn.Conv2d(CHANNELS, 1, 1), nn.Conv2d(CHANNELS, CHANNELS, 1)

    def forward(self, x: Tensor) -> Tensor:
        mask = self.mask(x).flatten(2).softmax(-1)  # (B, 1, N)
        context = torch.matmul(x.flatten(2), mask.transpose(1, 2)).unsqueeze(-1)  # (B, C, 1, 1)
        return x + self.transform(context)


class SimAM(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        squared = (x - x.mean((2, 3), keepdim=True)).pow(2)
        n = x.shape[2] * x.shape[3] - 1
        return x * torch.sigmoid(squared / (4 * (squared.sum((2, 3), keepdim=True) / n + 1e-4)) + 0.5)


class BAM(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.channel, self.spatial = nn.Linear(CHANNELS, CHANNELS), nn.Conv2d(CHANNELS, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * (1 + torch.sigmoid(wide(self.channel(x.mean((2, 3)))) * self.spatial(x)))


class GCT(nn.Module):
    """Gated channel transformation: 1 + tanh of parameters and norms."""

    def __init__(self) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(1, CHANNELS, 1, 1))
        self.gamma = nn.Parameter(torch.ones(1, CHANNELS, 1, 1))
        self.beta = nn.Parameter(torch.zeros(1, CHANNELS, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        embedding = (x.pow(2).sum((2, 3), keepdim=True) + 1e-5).pow(0.5) * self.alpha
        norm = self.gamma / (embedding.pow(2).mean(1, keepdim=True) + 1e-5).pow(0.5)
        return x * (1.0 + torch.tanh(embedding * norm + self.beta))


class SRMLayer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cfc = nn.Parameter(torch.ones(CHANNELS, 2))
        self.bn = nn.BatchNorm1d(CHANNELS)

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(2)
        style = torch.stack((flat.mean(2), flat.std(2)), 2)  # (B, C, 2)
        return x * torch.sigmoid(self.bn((style * self.cfc).sum(2)))[:, :, None, None]


class AttentionGate(nn.Module):
    """Attention U-Net: a place's weight from a map and a coarser one."""

    def __init__(self) -> None:
        super().__init__()
        self.coarse, self.fine, self.psi = nn.Conv2d(CHANNELS, 4, 1), nn.Conv2d(CHANNELS, 4, 1), nn.Conv2d(4, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        coarse = self.coarse(F.avg_pool2d(x, 2))
        psi = torch.sigmoid(self.psi(F.relu(F.interpolate(coarse, scale_factor=2) + self.fine(x))))
        return x * psi


class Pyramid(nn.Module):
    """One module on three maps."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = SqueezeExcitation()

    def forward(self, x: Tensor) -> Tensor:
        maps = [x, F.avg_pool2d(x, 2), F.avg_pool2d(x, 3)]
        return torch.stack([self.attention(level).mean((2, 3)) for level in maps]).sum(0)


class Static(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(CHANNELS, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight.sigmoid()


class GatedConv(nn.Module):
    """a * sigmoid(b) with both from one convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(CHANNELS, 2 * CHANNELS, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.conv(x).chunk(2, 1)
        return a * torch.sigmoid(b)


class ChannelsLast(nn.Module):
    """Squeeze-and-excitation over maps (B, H, W, C)."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(CHANNELS, CHANNELS)

    def forward(self, x: Tensor) -> Tensor:
        y = x.permute(0, 2, 3, 1)
        return (y * torch.sigmoid(self.fc(y.mean((1, 2), keepdim=True)))).permute(0, 3, 1, 2)


class Block(nn.Module):
    """A residual block with any module behind its normalisation."""

    def __init__(self, attention: nn.Module) -> None:
        super().__init__()
        self.conv, self.bn, self.attention = (
            nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1),
            nn.BatchNorm2d(CHANNELS),
            attention,
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.attention(self.bn(self.conv(x))))


class Classifier(nn.Module):
    """Two residual blocks and a linear head: (B, 3, H, W) -> (B, 5)."""

    def __init__(self, make: Callable[[], nn.Module] = SqueezeExcitation) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, CHANNELS, 3, padding=1)
        self.layer1, self.layer2 = nn.Sequential(Block(make())), nn.Sequential(Block(make()), Block(make()))
        self.head = nn.Linear(CHANNELS, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer2(self.layer1(self.stem(x))).mean((2, 3)))


class Function(nn.Module):
    """A network that is one expression of its input."""

    def __init__(self, expression: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.expression = expression
        self.conv = nn.Conv2d(CHANNELS, CHANNELS, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.expression(self.conv(x))
