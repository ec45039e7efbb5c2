"""A network as a file that needs no code of ours: ONNX, a program of torch.export, or safetensors with a card.

Whatever is written is read again at once and held against torch on noise: on the batch it was exported with, on
another batch, and, where it takes one, on another size. The largest difference is on the card.
"""

import importlib
import logging
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.utils._pytree import tree_leaves

from attention.errors import InvalidRequest, first_line
from attention.names import Size, height_and_width, read_size
from attention.reports.export import Check, ExportCard, Format
from attention.spec import Preprocess, Variant
from attention.storage.base import write_whole
from attention.weights.convert import sha256_of

FORMATS: dict[str, Format] = {".onnx": "onnx", ".pt2": "torch.export", ".safetensors": "safetensors"}
"""Ending of a file -> what is written."""

TOLERANCE = 1e-3
"""By how much of the largest output an exported network may differ."""

OTHER_BATCH = 3
"""Images of the second check; the export itself sees two."""

STEP = 32
"""By how many pixels the second size is larger."""

Shape = tuple[int, int, int]
"""Channels, height and width of an image."""

Run = Callable[[Tensor], list[np.ndarray[Any, Any]]]
"""Images (B, 3, H, W) -> outputs."""


@dataclass(frozen=True)
class About:
    """Facts about a network that are written beside its weights.

    Args:
        variant: what it is called here.
        preprocess: what its input must look like.
        labels: class names in the order of the logits.
    """

    variant: Variant | None = None
    preprocess: Preprocess | None = None
    labels: Sequence[str] = ()


def export(model: nn.Module, out: str | Path, example: Size | Tensor | Shape, about: About = About()) -> ExportCard:
    """Write a network into a file, check that it answers as torch does, and write a card beside it.

    Args:
        model: any network of images (B, C, H, W); its parameters stay on their device, what is exported is on the CPU.
        out: the file; its ending says the format: .onnx, .pt2 (torch.export) or .safetensors.
        example: side of the input in pixels, its height and width, or (C, H, W); or a batch (B, C, H, W).

    Raises:
        InvalidRequest: the example is none of these, the ending is not known, the file is there already, a package is
            missing, or the network cannot be exported, or what was exported answers something else.
    """
    out = Path(out)
    kind = FORMATS.get(out.suffix)
    if kind is None:
        raise InvalidRequest(f"{out.name!r} ends in nothing that is written here. Take {', '.join(FORMATS)}.")
    if out.exists():
        raise InvalidRequest(f"{out} is there already. Say another name.")
    shape = _shape(example)
    out.parent.mkdir(parents=True, exist_ok=True)
    device = next(model.parameters(), torch.empty(0)).device
    training = [(module, module.training) for module in model.modules()]
    try:
        network = model.cpu().eval()
        card = _written(network, out, kind, shape, about)
    except BaseException:
        out.unlink(missing_ok=True)
        raise
    finally:
        model.to(device)
        for module, flag in training:
            module.training = flag
    write_whole(out.with_suffix(".json"), card.model_dump_json(indent=1).encode() + b"\n")
    return card


def _written(network: nn.Module, out: Path, kind: Format, shape: Shape, about: About) -> ExportCard:
    """Write the file, check it, and give its card."""
    opset = None
    if kind == "onnx":
        for package in ("onnxscript", "onnxruntime"):
            _package(package)  # before minutes of work
    if kind == "safetensors":
        tensors = {name: value.detach().clone().contiguous() for name, value in network.state_dict().items()}
        write_whole(out, save(tensors))
        run, runtime, free = _with_weights_of(network, out), f"torch {torch.__version__}", True
    else:
        program = _program(network, shape)
        if kind == "onnx":
            opset = _write_onnx(program, out)
            run, runtime = onnx_session(out)
        else:
            torch.export.save(program, out)
            run, runtime = _torch_program(torch.export.load(out)), f"torch {torch.__version__}"
        free = any(_symbolic(dimension) for dimension in _input_shape(program)[2:])
    channels, height, width = shape
    larger = (channels, height + STEP, width + STEP)
    checks = [_check(network, run, 2, shape)]
    free_batch = _try_check(checks, network, run, OTHER_BATCH, shape)
    free_size = free and _try_check(checks, network, run, 2, larger)
    worst = max(check.largest_difference / max(check.largest_output, 1e-12) for check in checks)
    if not worst <= TOLERANCE:
        raise InvalidRequest(
            f"What was exported answers otherwise than torch: outputs differ by {worst:.1e} of the largest one. "
            "Nothing was kept."
        )
    with torch.no_grad():
        outputs = tuple(tuple(leaf.shape) for leaf in _leaves(network(_noise(1, shape))))
    return ExportCard(
        format=kind,
        file=out.name,
        sha256=sha256_of(out),
        variant=about.variant,
        size=_side(shape),
        free_batch=free_batch,
        free_size=free_size,
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        outputs=outputs,
        preprocess=about.preprocess,
        labels=tuple(about.labels),
        checks=tuple(checks),
        opset=opset,
        runtime=runtime,
        torch=torch.__version__,
        date=datetime.now(UTC).date().isoformat(),
    )


def _program(network: nn.Module, shape: Shape) -> ExportedProgram:
    """The network as one graph, with a free batch and, where it allows that, a free size.

    Raises:
        InvalidRequest: it cannot be exported.
    """
    batch = {0: Dim("batch", min=1, max=4096)}
    sides = dict.fromkeys((2, 3), Dim.DYNAMIC)
    reasons = []
    for dimensions in ({**batch, **sides}, batch, {}):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                shapes: tuple[Any, ...] | None = (dimensions,) if dimensions else None
                return torch.export.export(network, (_noise(2, shape),), dynamic_shapes=shapes)
        except Exception as error:  # whatever the network does that a graph cannot have
            reasons.append(first_line(error))
    raise InvalidRequest(f"This network cannot be exported as one graph: {reasons[-1]}.")


def _symbolic(dimension: object) -> bool:
    """Whether a dimension of an exported program is free."""
    return not isinstance(dimension, int)


def _input_shape(program: ExportedProgram) -> Sequence[object]:
    name = program.graph_signature.user_inputs[0]
    node = next(node for node in program.graph.nodes if node.name == name)
    return cast("Sequence[object]", tuple(node.meta["val"].shape))


def _write_onnx(program: ExportedProgram, out: Path) -> int:
    """Write a program as ONNX; gives the version of its operators.

    Raises:
        InvalidRequest: the program uses what ONNX does not have.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # or it tells which libraries are not there
            converted = torch.onnx.export(
                program, (), dynamo=True, input_names=["images"], output_names=["logits"], verbose=False
            )
    except Exception as error:
        raise InvalidRequest(f"This network cannot be written as ONNX: {first_line(error)}.") from error
    assert converted is not None
    converted.save(str(out), external_data=False)
    return int(converted.model.opset_imports[""])


def onnx_session(path: Path, threads: int = 0) -> tuple[Run, str]:
    """Open an ONNX file in ONNX Runtime on the CPU; gives what runs images through it, and the runtime's version.

    Args:
        threads: CPU threads of a pass; 0 is as many as the runtime takes.

    Raises:
        InvalidRequest: the runtime is not installed.
    """
    runtime = _package("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    (name,) = (value.name for value in session.get_inputs())
    return lambda images: list(session.run(None, {name: images.numpy()})), f"onnxruntime {runtime.__version__}"


def _torch_program(program: ExportedProgram) -> Run:
    module = program.module()
    return lambda images: [leaf.numpy() for leaf in _leaves(module(images))]


def _with_weights_of(network: nn.Module, out: Path) -> Run:
    """The network's own structure, filled from the file."""

    def run(images: Tensor) -> list[np.ndarray[Any, Any]]:
        filled = load_file(out)
        outputs = torch.func.functional_call(network, filled, (images,), strict=True, tie_weights=False)
        return [leaf.numpy() for leaf in _leaves(outputs)]

    return run


def _package(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise InvalidRequest(
            f"ONNX needs the package {name}: pip install 'attention-lab[onnx]'. All else works without."
        ) from error


def _check(network: nn.Module, run: Run, images: int, shape: Shape) -> Check:
    """Outputs of the network and of what was exported, on the same noise."""
    noise = _noise(images, shape)
    with torch.no_grad():
        truth = [leaf.numpy() for leaf in _leaves(network(noise))]
        answers = run(noise)
    if [output.shape for output in truth] != [output.shape for output in answers]:
        raise InvalidRequest("What was exported gives outputs of other shapes than torch does. Nothing was kept.")
    return Check(
        images=images,
        size=_side(shape),
        largest_difference=max(float(np.abs(a - b).max()) for a, b in zip(truth, answers, strict=True)),
        largest_output=max(float(np.abs(output).max()) for output in truth),
    )


def _try_check(checks: list[Check], network: nn.Module, run: Run, images: int, shape: Shape) -> bool:
    """Add a check on another batch or size, if what was exported takes it."""
    with suppress(Exception):  # each runtime says in its own way that it does not
        checks.append(_check(network, run, images, shape))
        return True
    return False


def _shape(example: Size | Tensor | Shape) -> Shape:
    """Channels, height and width of an image.

    Raises:
        InvalidRequest: the example says none.
    """
    if isinstance(example, Tensor) and example.dim() == 4:
        example = (example.shape[1], example.shape[2], example.shape[3])
    if isinstance(example, tuple) and len(example) == 3 and all(isinstance(side, int) for side in example):
        return example
    try:
        return (3, *height_and_width(read_size(example)))
    except ValueError:
        example_kind = (
            f"a tensor {tuple(example.shape)}" if isinstance(example, Tensor) else f"a {type(example).__name__}"
        )
        raise InvalidRequest(
            f"A network is exported for images: give a side, (H, W), (C, H, W) or a batch (B, C, H, W), not "
            f"{example_kind}."
        ) from None


def _side(shape: Shape) -> Size:
    """Height and width as a size is written: one number where they are equal."""
    side: Size = read_size(shape[1:])
    return side


def _noise(images: int, shape: Shape) -> Tensor:
    return torch.randn(images, *shape, generator=torch.Generator().manual_seed(images))


def _leaves(outputs: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(outputs) if isinstance(leaf, Tensor)]
