"""What seeing every gate costs: SE-ResNet-50 on one image, plain prediction against prediction with all 15,104 gates.

    python -m benchmarks.gates

With gates: captured, summarised and encoded as base64 of float16, just as ``POST /v1/compare`` with
``gates: base64`` does. Both sides do the softmax and name the top classes.
"""

import torch

from attention.analyses.compare import predictions
from attention.analysis import Outputs
from attention.build import build
from attention.gate import capture, sites
from attention.reports.compare import CompareRequest
from attention.spec import Variant
from benchmarks.measure import line, paired_ratio, side_by_side

NAME = "resnet50/se"


def main() -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    model = build(Variant.parse(NAME)).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    image = torch.randn(1, 3, 224, 224).contiguous(memory_format=torch.channels_last)
    plain_request = CompareRequest(images=("x",))
    gates_request = CompareRequest(images=("x",), gates="base64")
    where = sites(model)

    def plain() -> None:
        with torch.inference_mode():
            logits = model(image)
        predictions(plain_request, NAME, (), Outputs(logits, {}, ()))

    def with_gates() -> None:
        with torch.inference_mode(), capture(model) as seen:
            logits = model(image)
        (found,) = predictions(gates_request, NAME, (), Outputs(logits, seen, where))
        assert sum(gate.shape[0] for gate in found.gates) == 15_104
        found.model_dump_json()

    times = side_by_side({"prediction": plain, "prediction and 15,104 gates": with_gates}, n=40)
    for name, taken in times.items():
        print(line(f"{NAME}, {name}", taken))
    print(paired_ratio("with gates / without", times["prediction and 15,104 gates"], times["prediction"]))


if __name__ == "__main__":
    main()
