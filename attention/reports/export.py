"""What is written beside an exported network: what it is, what it takes, and how closely it answers what torch does."""

from typing import ClassVar, Literal

from pydantic import Field

from attention.names import Size
from attention.reports.cost import INPUT_SIZE
from attention.reports.writing.tables import Report, Table, table_of
from attention.spec import Pass, Plain, Preprocess, Request, Variant

Format = Literal["onnx", "torch.export", "safetensors"]


class Check(Plain):
    """An exported network beside the one it was made of, on the same noise."""

    images: int = Field(description="Images in the batch.")
    size: Size = Field(description="Side of the images, or height and width, pixels.")
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
    size: Size = Field(description="Side of the input it was exported with, or height and width, pixels.")
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


class ExportedFile(Plain):
    """The file that a job wrote; GET /v1/jobs/{id}/file gives it until the job is deleted."""

    name: str = Field(description="What to call it.")
    stored: str = Field(description="Where it lies below the data folder.")
    bytes: int | None = Field(description="Its size; null while it is being written.")


class ExportReport(Report):
    """A network as a file, and how closely it answers what torch does."""

    network: str = Field(description="Short name of the network.")
    file: ExportedFile = Field(description="What was written.")
    card: ExportCard | None = Field(description="How it was checked; null while it is being written.")
    complete: bool = Field(default=True, description="Whether it is written and checked.")

    def tables(self) -> tuple[Table, ...]:
        """Every check, with the file that was checked."""
        checks = self.card.checks if self.card else ()
        caption = f"{self.network} as {self.file.name}, beside torch on noise"
        return (table_of("checks", checks, caption, file=self.file.name),)


class ExportRequest(Request[ExportReport]):
    """Write a network as ONNX, a program of torch.export or safetensors with a card, and check it against torch."""

    examples: ClassVar = ({"variant": "resnet20/eca?weights=shipped", "format": "onnx"},)
    slow: ClassVar = True

    variant: Variant = Field(description="The network, with its weights.")
    format: Format = Field(default="onnx", description="What is written.")
    input_size: Size | None = Field(default=None, description=INPUT_SIZE)
    licence: str | None = Field(
        default=None, pattern=r"^[\w.-]{1,60}$", description="Licence of the weights, as the hub spells it."
    )

    @property
    def largest_pass(self) -> Pass:
        """The checks run three images at most."""
        return Pass(self.input_size, 3)
