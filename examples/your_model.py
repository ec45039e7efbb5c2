"""A model of one's own: its gates, what it loses without them, what they cost, and one more module attached.

    python examples/your_model.py

Put your own model and images in the place of the small ones here; the rest stays as it is.
"""

import torch
from torch import Tensor, nn

from attention import ablate, attach, capture, count, watch


class Block(nn.Module):
    """A block with a squeeze-and-excitation that somebody wrote into its forward."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels)
        self.excite = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn(self.conv(x))
        return torch.relu(x + y * torch.sigmoid(self.excite(y.mean((2, 3), keepdim=True))))


def main() -> None:
    """Look, ablate, count, attach."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 32, 7, 4), Block(32), Block(32), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10)
    )
    model.eval()
    images, others = torch.rand(4, 3, 96, 96), torch.rand(32, 3, 96, 96)

    print(watch(model, 96), "\n")

    reference = capture(model, others)  # gate path -> weights (32, C, 1, 1)
    with torch.no_grad():
        logits = model(images)
        for kind in ("mean", "scalar", "shuffle", "neutral"):
            with ablate(model, kind, reference):
                change = (model(images) - logits).norm() / logits.norm()
            print(f"{kind:<8} changes the logits by {change:.2%}")

    print("\n" + str(count(model, 96)))

    with attach(model, at="1.bn, 2.bn", module="eca", example=96) as attached:
        print(f"\n{attached.report}")
        with torch.no_grad():
            print("the same logits to the bit:", torch.equal(model(images), logits))
        print(f"{count(model, 96).total.macs:,} MACs with it")


if __name__ == "__main__":
    main()
