"""What can be asked for, as plain data: a Variant, a Placement, an Ablation, a Recipe, a Request.

Everything here is frozen and hashable, and its JSON is its value: cache key, request body and
database column alike. This file imports pydantic only.

A Variant also has one canonical short name, and parsing the name gives the variant back::

    resnet50/se(reduction=8)@standard:3-4?classes=10&seed=1&weights=shipped
    backbone/attention(options)@position:stages?what differs from the defaults

A module's name alone, such as ``eca``, means the network with it that comes along, trained on photos (`names.BARE`).
"""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from typing import Annotated, Any, ClassVar, Generic, Literal, NamedTuple, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator
from pydantic.annotated_handlers import GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, ValidationError

from attention.errors import BadVariantName
from attention.names import Size, parse_placement, parse_variant, write_ranges, write_variant


class Plain(BaseModel):
    """Frozen data that hashes and compares by its JSON, so that options may be a dict."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="null")

    @cached_property
    def _json(self) -> str:
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        copied = super().model_copy(update=update, deep=deep)
        for derived in copied.__dict__.keys() - type(self).model_fields.keys():
            del copied.__dict__[derived]
        return copied

    def __hash__(self) -> int:
        return hash((type(self).__name__, self._json))

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self._json == other._json


Position = Literal["pre", "spatial", "inner", "standard", "identity", "post", "stage", "tail", "branch", "after"]
POSITIONS: dict[str, str] = {
    "standard": "after the last normalisation of a block, before the addition (SE, ECA, CBAM papers)",
    "pre": "on the input of the residual branch",
    "spatial": "around the spatial convolution, choosing between it and others (the SK paper's unit)",
    "inner": "inside the residual branch, after its spatial convolution (SimAM; SE-3x3)",
    "identity": "on the shortcut",
    "post": "after the addition and its ReLU",
    "stage": "between stages, one module on what each stage gives (BAM)",
    "tail": "one module on the last feature map of the backbone",
    "branch": "one module on each level of a multi-scale neck",
    "after": "behind any submodules of the backbone that give maps, named by path or pattern: after:layer3.*",
    "published": "wherever the module's own paper puts it in this backbone",
}

GateKind = Literal["channel", "spatial", "rows", "columns", "full", "branch", "matrix"]

AblationKind = Literal["mean", "scalar", "other_image", "shuffle", "constant", "neutral"]
ABLATIONS: dict[str, str] = {
    "mean": "each gate is replaced by its mean over the reference images: does its dependence on the input matter?",
    "scalar": "each gate is replaced by its own mean over channels: do differences between channels matter at all?",
    "other_image": "each gate comes from one of the reference images: does this image's content in the gate matter?",
    "shuffle": "each gate's channels are permuted by seed: does it matter which channel gets which weight?",
    "constant": "each gate is replaced by a chosen value: sensitivity to scale, not attention's value",
    "neutral": "each gate passes its input through: this changes the scale of every gated branch, so it is "
    "not an honest 'off'",
}

REFERRING: tuple[AblationKind, ...] = ("mean", "other_image")
"""The kinds that put in gates of other images."""

OptionValue = (
    bool
    | int
    | Annotated[float, Field(allow_inf_nan=False)]
    | Annotated[str, Field(max_length=100, pattern=r"^[\w.:/+-]+$")]
)
Options = dict[Annotated[str, Field(max_length=100, pattern=r"^[A-Za-z_]\w*$")], OptionValue]

Number = Annotated[int, Field(ge=1, le=99)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
PhotoId = Annotated[str, Field(max_length=200)]

Path = Annotated[str, Field(max_length=200, pattern=r"^[\w*-]+(\.[\w*-]+)*$")]
"""A submodule by path, or several by a pattern: * stands for anything within a part, ** across parts."""


class Placement(Plain):
    """Which slots of a backbone are filled: a position, and the stages and blocks (all where neither is said)."""

    position: Literal[Position, "published"] = Field(
        default="standard", description="Where in the block or network the module sits."
    )
    stages: tuple[Number, ...] | None = Field(
        default=None, description="Stages counted from 1; None means every stage that has the position."
    )
    blocks: tuple[tuple[Number, Number], ...] | None = Field(
        default=None, description="Single blocks as (stage, block), both counted from 1, beside the stages."
    )
    paths: tuple[Path, ...] | None = Field(
        default=None, min_length=1, max_length=100, description="Submodules of the backbone; only for position 'after'."
    )

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, data: Any) -> Any:
        if isinstance(data, str):
            data = parse_placement(data)
        for field in ("stages", "blocks"):
            if isinstance(data, dict) and isinstance(chosen := data.get(field), list | tuple):
                if not chosen:
                    raise ValueError(f"{field} is empty; leave it out to mean all of them.")
                with suppress(TypeError):  # what cannot be sorted is not valid either, and is told so next
                    data = {**data, field: sorted({tuple(block) if field == "blocks" else block for block in chosen})}
        return data

    @model_validator(mode="after")
    def _has_its_paths(self) -> Self:
        if (self.position == "after") != (self.paths is not None):
            raise ValueError("Position 'after', and no other, names submodules, such as after:layer*.*.bn3.")
        if self.paths is not None and (self.stages, self.blocks) != (None, None):
            raise ValueError("Position 'after' takes paths of submodules, and neither stages nor blocks.")
        return self

    @property
    def everywhere(self) -> bool:
        """Whether every slot of the position is meant."""
        return self.stages is None and self.blocks is None

    def covers(self, stage: int, block: int) -> bool:
        """Whether a slot of the position at this stage and block is meant."""
        return self.everywhere or stage in (self.stages or ()) or (stage, block) in (self.blocks or ())

    def __str__(self) -> str:
        if self.paths is not None:
            return f"{self.position}:{'+'.join(self.paths)}"
        parts = write_ranges(self.stages or ()) + [f"{stage}.{block}" for stage, block in self.blocks or ()]
        return self.position if self.everywhere else f"{self.position}:{'+'.join(parts)}"


class Variant(Plain):
    """A network that can be built: backbone, attention, placement, options, classes, seed, weights."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"backbone": "resnet50", "attention": "eca", "options": {"kernel_size": 3}}]}
    )

    backbone: str = Field(default="resnet20", min_length=1, max_length=200, description="A backbone's name.")
    backbone_options: Options = Field(default={}, description="Options of the backbone that differ from its defaults.")
    attention: str | None = Field(
        default=None, min_length=1, max_length=200, description="A module's name; None is the plain network."
    )
    options: Options = Field(default={}, description="Options of the module that differ from its defaults.")
    placement: Placement = Field(default=Placement(), description="Which slots the module fills.")
    classes: int | None = Field(
        default=None, ge=1, le=100_000, description="Number of classes; None is the checkpoint's or the backbone's own."
    )
    seed: Seed = Field(default=0, description="Seed of the initial weights.")
    weights: str | None = Field(
        default=None,
        min_length=1,
        max_length=400,
        description="Where trained weights come from ('shipped'); None is an untrained network.",
    )

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, data: Any) -> Any:
        if isinstance(data, str):
            data = dict(parse_variant(data))
        if isinstance(data, dict) and data.get("attention") in (None, "none"):
            if data.get("options"):
                raise ValueError("A network without attention has no attention options.")
            data = {key: value for key, value in data.items() if key != "attention"}
        return data

    @field_validator("placement")
    @classmethod
    def _is_of_attention(cls, placement: Placement, said: ValidationInfo) -> Placement:
        """Without attention nothing is placed anywhere."""
        return Placement() if said.data.get("attention") is None else placement

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Coming in, a variant may also be its short name."""
        whole = handler.resolve_ref_schema(handler(core))
        if handler.mode == "serialization":
            return whole
        name = {"type": "string", "title": "Short name", "examples": ["eca", "resnet50/se(reduction=8)@standard:3-4"]}
        return {"title": "Variant", "anyOf": [name, {**whole, "title": "VariantFields"}]}

    @classmethod
    def parse(cls, name: str) -> "Variant":
        """The variant that a short name stands for.

        Raises:
            BadVariantName: it is not ``backbone/attention(options)@position:stages``, or a part holds what is none.
        """
        try:
            return cls.model_validate(dict(parse_variant(name)))
        except ValidationError as error:
            field, message = ".".join(map(str, error.errors()[0]["loc"])), error.errors()[0]["msg"]
            raise BadVariantName(
                f"{name[:200]!r}: {field or 'name'}: {message.removeprefix('Value error, ')}."
            ) from None

    @property
    def plain(self) -> "Variant":
        """The plain twin: the same backbone, classes and seed without attention, and untrained."""
        return self.model_copy(update={"attention": None, "options": {}, "placement": Placement(), "weights": None})

    @cached_property
    def name(self) -> str:
        """Canonical short name of the variant."""
        placement = "" if self.placement == Placement() else str(self.placement)
        extras = {"classes": self.classes, "seed": self.seed or None, "weights": self.weights}
        return write_variant(self.backbone, self.backbone_options, self.attention, self.options, placement, extras)

    def __str__(self) -> str:
        return self.name


class Pictures(Plain):
    """The images a question is about: photos by id, or some images of a data set. A list of ids stands for photos."""

    images: tuple[PhotoId, ...] = Field(default=(), max_length=512, description="Ids of photos.")
    data: str | None = Field(
        default=None, min_length=1, max_length=1000, description="Name of a data set in the data folder."
    )
    split: Literal["train", "validation", "test"] = Field(
        default="test", description="Which of the data set's splits; validation is one that the data has beside a test."
    )
    classes: tuple[Annotated[str, Field(max_length=200)], ...] = Field(
        default=(), max_length=1000, description="Only these classes of the data set; all if empty."
    )
    limit: int = Field(default=256, ge=1, le=20_000, description="Most images of the data set, alike many of a class.")
    seed: Seed = Field(default=0, description="Which images of a class are drawn, if not all.")

    @model_validator(mode="before")
    @classmethod
    def _from_ids(cls, data: Any) -> Any:
        return {"images": data} if isinstance(data, list | tuple) else data

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        if bool(self.images) == (self.data is not None):
            raise ValueError("Name either photos by id (images) or a data set (data).")
        return self


class Ablation(Plain):
    """Which gates are replaced during a forward pass, and by what."""

    kind: AblationKind = Field(description="What replaces the gates; each kind answers another question.")
    gates: tuple[str, ...] | None = Field(
        default=None, description="Gate paths, or a prefix of them such as 'layer4'; None is every gate of the network."
    )
    value: float = Field(default=0.5, ge=-1000, le=1000, description="The value of kind 'constant'.")
    seed: Seed = Field(default=0, description="Seed of kind 'shuffle', and of the choice of kind 'other_image'.")
    reference: Pictures | None = Field(
        default=None,
        description="Whose gates kinds 'mean' and 'other_image' put in: the mean over these images, or for each image "
        "those of one of them, chosen by the image's own pixels and the seed.",
    )

    @model_validator(mode="after")
    def _has_its_reference(self) -> Self:
        if self.kind in REFERRING and self.reference is None:
            raise ValueError(f"An ablation of kind {self.kind!r} needs reference images, whose gates it puts in.")
        return self


Filter = Literal["bicubic", "bilinear", "lanczos", "box", "hamming", "nearest"]
"""Pillow's filters, all of them antialiased but the last."""


class Preprocess(Plain):
    """How a photo becomes the network's input: shorter side to ``resize``, centre crop of ``size``, normalise."""

    size: int = Field(default=224, ge=1, le=2048, description="Height of the input, pixels; its width unless said.")
    width: int | None = Field(default=None, ge=1, le=2048, description="Width of an input that is not square, pixels.")
    resize: int = Field(default=256, ge=1, le=4096, description="Shorter side plus the margin that is cropped, pixels.")
    mean: tuple[float, float, float] = Field(default=(0.485, 0.456, 0.406), description="Subtracted, in 0..1.")
    std: tuple[float, float, float] = Field(default=(0.229, 0.224, 0.225), description="Divided by, in 0..1.")
    filter: Filter = Field(default="bicubic", description="How pixels are averaged when the photo is resized.")
    mode: Literal["center", "squash", "border"] = Field(
        default="center",
        description="How a photo of another shape is fitted: its ends are cut off, it is stretched, or it is padded "
        "with the mean colour. A photo resized to less than the input is padded with black, as in torchvision.",
    )
    rounding: Literal["nearest", "torchvision"] = Field(
        default="nearest",
        description="How the longer side and the crop's offset become whole pixels: to the nearest and down, or as in "
        "torchvision (down, and to the nearest even), which timm uses too.",
    )

    @property
    def input_size(self) -> Size:
        """Height and width of the input, pixels."""
        return self.size if self.width in (None, self.size) else (self.size, self.width)

    @property
    def height_and_width(self) -> tuple[int, int]:
        """Height and width of the input as two numbers, pixels."""
        return self.size, self.width or self.size


class Recipe(Plain):
    """How a network is trained; the same recipe and seed give the same run on one device and torch version."""

    epochs: int = Field(default=8, ge=1, le=10_000, description="Passes over the training images.")
    batch_size: int = Field(default=128, ge=2, le=65_536, description="Images a step.")
    lr: float = Field(default=0.2, gt=0, le=100, description="Peak learning rate of the one-cycle schedule.")
    warmup: float = Field(default=0.25, ge=0, lt=1, description="Share of the steps in which the rate rises.")
    momentum: float = Field(default=0.9, ge=0, lt=1, description="Nesterov momentum of SGD.")
    weight_decay: float = Field(default=5e-4, ge=0, le=1, description="On convolution and linear weights only.")
    label_smoothing: float = Field(default=0.1, ge=0, lt=1, description="Mass spread over all classes.")
    flip: bool = Field(default=True, description="Mirror half of the images, anew each epoch.")
    crop_padding: int = Field(default=4, ge=0, le=64, description="Random crop after padding by so many pixels.")
    least_crop_area: float = Field(
        default=1.0, ge=0.01, le=1, description="Crop a box of at least this share of the area, resized; 1 for none."
    )
    crop_ratio: float = Field(default=4 / 3, ge=1, le=4, description="Longer by shorter side of that box, at most.")
    colour_jitter: float = Field(
        default=0.0, ge=0, le=1, description="Brightness, contrast and saturation times factors within 1 ± this."
    )
    ema: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Decay, per step, of the weights' moving average, which is then tested and kept; 0 for none.",
    )

    @model_validator(mode="after")
    def _has_one_crop(self) -> Self:
        if self.least_crop_area < 1 and self.crop_padding:
            raise ValueError("A recipe crops in one way: set crop_padding to 0 where least_crop_area is below 1.")
        return self


R_co = TypeVar("R_co", bound=Plain, covariant=True)


class Pass(NamedTuple):
    """The largest forward pass that a question asks for, as far as it says so itself."""

    size: Size | None = None
    """Side, or height and width, of the input in pixels; None is the network's own."""
    images: int | None = None
    """Images in one pass; None is as many as the service takes."""
    trains: bool = False
    """Whether everything is kept for a backward pass."""


class Request(Plain, Generic[R_co]):
    """A question. Its subclass names its report and whether it is slow enough to be a job."""

    analysis: ClassVar[str]
    """Name of the analysis; that of the class, unless it says another: ``WeightCostRequest`` asks ``weight_cost``."""
    report: ClassVar[type[Plain]]
    slow: ClassVar[bool] = False
    spreads: ClassVar[bool] = False
    """Whether all its work is in the items it gives to `Lab.map`, and none in the analysis itself."""
    counts_only: ClassVar[bool] = False
    """Whether its networks are only counted, on the meta device, where none is too large."""
    examples: ClassVar[tuple[dict[str, Any], ...]] = ()
    """Questions of this kind as JSON, for the API's documentation."""
    largest_body: ClassVar[int] = 0
    """Bytes of JSON that the question may take where it carries a table of its own; 0: as much as any other."""

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        """Take the report from what stands in brackets, ``Request[CostReport]``, and the analysis from the name."""
        if reports := cls.__pydantic_generic_metadata__["args"]:
            (cls.report,) = reports
        elif "analysis" not in cls.__dict__:
            cls.analysis = re.sub("(?<!^)(?=[A-Z])", "_", cls.__name__.removesuffix("Request")).lower()

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler(core)
        if cls.examples:
            handler.resolve_ref_schema(schema)["examples"] = list(cls.examples)
        return schema

    @property
    def largest_pass(self) -> Pass:
        """What the question says itself about its largest forward pass."""
        return Pass(getattr(self, "input_size", None))
