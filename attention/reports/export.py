"""What is written beside an exported network: what it is, what it takes, and how closely it answers what torch does."""

from typing import Literal

from pydantic import Field

from attention.spec import Plain, Preprocess, Variant

Format = Literal["onnx", "torch.export", "safetensors"]


class Check(Plain):
    """An exported network beside the one it was made of, on the same noise."""

    images: int = Field(description="Images in the batch.")
    size: int = Field(description="Height and width of the images, pixels.")
    largest_difference: float = Field(description="Of any two numbers of the outputs, absolute.")
    largest_output: float = Field(description="Largest absolute number that torch gives, for comparison.")


class ExportCard(Plain):
    """An exported network: where it comes from, its input and output, and the checks that it passed."""

    format: Format = Field(description="What the file is.")
    file: str = Field(description="Name of the file.")
    sha256: str = Field(description="Of its bytes, in hex.")
    variant: Variant | None = Field(
        description="The network, with where its weights come from; None if it is not ours."
    )
    size: int = Field(description="Height and width of the input it was exported with, pixels.")
    free_batch: bool = Field(description="Whether it takes any number of images at once.")
    free_size: bool = Field(description="Whether it takes images of other sizes.")
    parameters: int = Field(description="Numbers in its weights.")
    outputs: tuple[tuple[int, ...], ...] = Field(description="Shapes that it gives for one image.")
    preprocess: Preprocess | None = Field(description="What its input must look like.")
    labels: tuple[str, ...] = Field(description="Class names in the order of the logits; empty if they are not known.")
    checks: tuple[Check, ...] = Field(description="How it answers beside torch.")
    opset: int | None = Field(default=None, description="Version of ONNX's operators.")
    runtime: str = Field(description="What it was checked in, with its version.")
    torch: str = Field(description="Version of torch that wrote it.")
    date: str = Field(description="Day it was exported, ISO 8601.")

    @property
    def largest_difference(self) -> float:
        """The largest difference of all checks."""
        return max(check.largest_difference for check in self.checks)
