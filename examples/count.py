"""What attention costs: three networks on the bill, counted by formula and shape, and any model by one pass.

python examples/count.py
"""

from torch import nn

from attention import Lab, Variant, build, count


def main() -> None:
    """Count by name, then any model, ours or not."""
    names = ("resnet50/none", "resnet50/se", "resnet50/eca")
    report = Lab().cost(variants=names, input_size=224)
    print(report.markdown())
    for bill in report.variants[1:]:
        share = bill.attention.parameters / bill.total.parameters
        print(f"{bill.name}: {bill.attention.parameters:,} parameters are attention, {share:.2%} of all")
    print("\n" + str(count(build(Variant.parse("resnet20/cbam")), 32)))
    print("\n" + str(count(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 1)), 32)))


if __name__ == "__main__":
    main()
