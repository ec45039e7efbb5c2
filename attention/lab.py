"""Lab: answers every analysis in a script or notebook, without a service.

    from attention import Lab, look

    print(look("photo.jpg", "none", "se", "eca"))
    lab = Lab("my_folder")
    report = lab.ask(SweepRequest(variant="eca", images={"data": "flowers"}))
    report = lab.sweep(variant="eca", images={"data": "flowers"})  # each analysis is a method, too

The same analyses run behind the service, whose labs add batching, jobs and machines to `BaseLab`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterator, Sequence
from pathlib import Path
from threading import Lock
from typing import Any, Generic, TypeVar

import torch
from cachetools import LRUCache
from torch import Tensor, nn

from attention.analyses import analyses, question, run
from attention.analysis import Outputs, Step, in_order
from attention.build import build
from attention.data.files import IMAGE, Files, FilesAndPhotos, image_id, samples
from attention.data.sampling import batches
from attention.data.sampling import stamp as images_stamp
from attention.errors import InvalidRequest
from attention.gate import sites
from attention.models import own_models
from attention.models.own_models import OwnModel
from attention.network import describe, need_classes
from attention.photos import Photo, photo_bytes
from attention.precision import DType
from attention.reports.compare import CompareRequest, Comparison
from attention.reports.gates import GateSite
from attention.reports.parts.network import Network, OutputKind
from attention.running.device import best_device, check_device
from attention.running.fused import fused_copy
from attention.running.reference_gates import NO_REFERENCES, ReferenceGates
from attention.running.runner import Gates, Running
from attention.spec import REFERRING, Ablation, Pictures, Plain, Preprocess, Request, Variant
from attention.weights.find import published_labels, published_preprocess

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
S = TypeVar("S")
T = TypeVar("T")
R = TypeVar("R", bound=Plain)

FOLDER = Path("~/.local/share/attention")
"""Where data sets and checkpoints lie if no folder is named; the service's default, too."""

NETWORKS_KEPT = 8
REFERENCES_KEPT = 32
BATCH = 32
"""Images of a forward pass at most."""


class LRU(Generic[K, V]):
    """The ``size`` most recently used values by key, for many threads; it counts how often one was there."""

    def __init__(self, size: float) -> None:
        self.hits = self.misses = 0
        self._values: LRUCache[K, V] = LRUCache(size)
        self._lock = Lock()

    def get(self, key: K, make: Callable[[], V]) -> V:
        """The value of a key, made now if it is not kept; two callers at once may both make it."""
        if (value := self.find(key)) is None:
            value = make()
            self.keep(key, value)
        return value

    def find(self, key: K) -> V | None:
        """Look up the value of a key; None if no value is kept under it."""
        with self._lock:
            if key in self._values:
                self.hits += 1
                return self._values[key]
            self.misses += 1
            return None

    def keep(self, key: K, value: V) -> None:
        """Keep a value under a key; a value that the key had before is dropped."""
        with self._lock:
            self._keep(key, value)

    def _keep(self, key: K, value: V) -> None:
        self._values[key] = value


References = LRU[tuple[Variant, str, Pictures, str, bool], ReferenceGates]
"""Gates of reference images by variant, state of its weights, images, state of those, and whether they are averaged."""


class BaseLab(ABC):
    """Base of all labs: everything except how a forward pass is run.

    Args:
        device: a torch device.
        dtype: number format of forward passes; what they give is float32.
        references: gates of reference images that are kept; None begins with none.
    """

    def __init__(self, files: Files, device: str, dtype: DType, references: References | None = None) -> None:
        self.files = files
        self.device = device
        self.dtype: str = dtype
        self._references = references or References(REFERENCES_KEPT)
        self._described: dict[Variant, Network] = {}

    def describe(self, variant: Variant) -> Network:
        """Look up all that is known of a network, once for a whole question."""
        if variant not in self._described:
            network = describe(variant, self.files.checkpoints)
            self._described |= {variant: network, network.variant: network}
        return self._described[variant]

    def forward(self, variant: Variant, images: Tensor, ablation: Ablation | None = None) -> Outputs:
        """Run preprocessed images (B, 3, H, W) through a variant, each image as if it were alone.

        An ablation is left out where there is no gate to replace.
        """
        self.check()
        network = self.describe(variant)
        if network.outputs != "map":
            need_classes(network)
        if ablation is None or not network.gates:
            return self._forward(network, images, None, ())
        references = [gates for (gates,) in self._put_in(network, images, (ablation,))]
        return self._forward(network, images, ablation, references)

    def forward_each(self, variant: Variant, images: Tensor, ablations: Sequence[Ablation]) -> Tensor:
        """Logits of images (B, 3, H, W) untouched, then under each ablation: (1 + A, B, K)."""
        self.check()
        network = self.describe(variant)
        need_classes(network)
        return self._forward_each(network, images, ablations, self._put_in(network, images, ablations))

    def network(self, variant: Variant) -> nn.Module:
        """A network of the caller's own, in eval mode on `device`; it is built anew each time."""
        self.check()
        return build(variant, self.files.checkpoints).to(self.device)

    def map(
        self, fn: Step[T, S], items: Sequence[T], on_progress: Callable[[T, S], None], lost: Callable[[T, str], S]
    ) -> Iterator[S]:
        """Apply ``fn`` to every item, one after the other."""
        return in_order(fn, items, on_progress, lost)

    def progress(self, done: int, total: int, note: str = "", partial: Plain | None = None) -> None:
        """Say how far the work is, and stop where the answer is no longer wanted.

        Raises:
            Cancelled: the client no longer wants the answer.
        """
        self.check()

    @abstractmethod
    def check(self) -> None:
        """Raise Cancelled if the answer is no longer wanted.

        Raises:
            Cancelled: it is not.
        """

    @abstractmethod
    def _forward(
        self, network: Network, images: Tensor, ablation: Ablation | None, references: Sequence[Gates]
    ) -> Outputs:
        """Run images through a network; ``references`` has what the ablation puts in for each image."""

    @abstractmethod
    def _forward_each(
        self, network: Network, images: Tensor, ablations: Sequence[Ablation], references: Sequence[Sequence[Gates]]
    ) -> Tensor:
        """Logits (1 + A, B, K); ``references`` has what is put in for each image, for each ablation."""

    def _put_in(self, network: Network, images: Tensor, ablations: Sequence[Ablation]) -> list[list[Gates]]:
        """For each image, for each ablation, the weights (1, ...) that it puts in; none where its kind has none."""
        references = [self._reference_gates(network, ablation) for ablation in ablations]
        return [
            [gates.gates_for(image, ablation.seed) for gates, ablation in zip(references, ablations, strict=True)]
            for image in images
        ]

    def _reference_gates(self, network: Network, ablation: Ablation) -> ReferenceGates:
        """The gates of an ablation's reference images, computed once for every variant and choice of images."""
        if ablation.reference is None or ablation.kind not in REFERRING:
            return NO_REFERENCES
        pictures, average = ablation.reference, ablation.kind == "mean"
        key = (network.variant, network.stamp, pictures, images_stamp(pictures, self.files), average)
        return self._references.get(key, lambda: self._computed(network, pictures, average))

    def _computed(self, network: Network, pictures: Pictures, average: bool) -> ReferenceGates:
        references = ReferenceGates()
        for _, images in batches(pictures, network.preprocess, self.files):
            references.add(images, self._forward(network, images, None, ()).gates, average)
            self.check()
        return references.averaged() if average else references


class Lab(BaseLab):
    """Answers every analysis in this process; each analysis is also a method with the fields of its request.

    Args:
        folder: where data sets, checkpoints and what analyses keep lie; None is the service's default folder.
        device: a torch device; None is CUDA where there is one.
        on_progress: told how far a long analysis is: steps done, steps in all, a note.

    Raises:
        InvalidRequest: there is no such device.
    """

    def __init__(
        self,
        folder: str | Path | None = None,
        device: str | None = None,
        on_progress: Callable[[int, int, str], None] | None = None,
    ) -> None:
        device = device or best_device()
        check_device(device)
        self._photos: dict[str, bytes] = {}
        files = Files(Path(folder or FOLDER).expanduser().absolute(), any_path=True)
        super().__init__(FilesAndPhotos(files, self._photos), device, "float32")
        self._networks: LRU[tuple[Variant, str], tuple[Running, tuple[GateSite, ...]]] = LRU(NETWORKS_KEPT)
        self._on_progress = on_progress

    def ask(self, request: Request[R]) -> R:
        """Answer a request.

        Raises:
            AttentionError: what the caller can mend, as a sentence.
        """
        self._described = {}  # weights may have been replaced since the question before
        return run(request, self)

    def add(
        self,
        name: str,
        model: nn.Module,
        *,
        labels: Sequence[str] = (),
        preprocess: Any = None,
        example: int | tuple[int, ...] | None = None,
        outputs: OutputKind | None = None,
    ) -> Variant:
        """Let a model be asked about under a name, ``own(name=NAME)``, with the gates that following a pass finds.

        The model stays as it is: what is asked runs in copies, and sees its weights as they are at each question. The
        name is one for the whole process; another model of that name makes place.

        Args:
            labels: names of its classes; those of timm's configuration where it has one.
            preprocess: a `Preprocess`, or transforms as torchvision's weights give them; that of timm's configuration.
            example: height and width of its input, pixels, or (3, H, W); the model's own, else 224.
            outputs: what it gives for each image; one pass finds it out.

        Raises:
            InvalidRequest: it is no name, the model does not take a photo, or gives another number of classes.
        """
        number_formats = {str(value.dtype) for value in model.parameters() if value.is_floating_point()}
        if other := sorted(number_formats - {"torch.float32"}):
            raise InvalidRequest(
                f"The model {name!r} has weights in {other[0]}; they are asked in float32: model.float()."
            )
        about = getattr(model, "pretrained_cfg", None) or {}
        own_model = OwnModel(
            name,
            lambda: model,
            title=f"{type(model).__name__}, added by hand.",
            labels=tuple(labels) or published_labels(about, f"_{about.get('tag')}"),
            preprocess=_preprocess(preprocess) or published_preprocess({"pretrained_cfg": about}),
            size=own_models.example_size(example),
            outputs=outputs,
            limited=False,
        )
        classes = own_model.measured.classes  # what it does not take is said here
        if labels and own_model.measured.outputs in ("classes", "map") and len(labels) != classes:
            raise InvalidRequest(f"The model {name!r} gives {classes} classes, and there are {len(labels)} labels.")
        own_models.add(own_model)
        self._described = {}
        return Variant(backbone="own", backbone_options={"name": name})

    def photos(self, *photos: Photo) -> tuple[str, ...]:
        """Take photos in, and give the ids by which requests name them; they stay in memory.

        Args:
            photos: paths, bytes, arrays (H, W, 3), PIL images, ids, or names of samples such as ``cat_wool.jpg``.

        Raises:
            NotFound, BadImage: there is no such file, or it is none.
        """
        return tuple(self._photo(photo) for photo in photos)

    def check(self) -> None:
        """Return at once: what a script asks is wanted until it is interrupted."""

    def progress(self, done: int, total: int, note: str = "", partial: Plain | None = None) -> None:
        """Call ``on_progress`` with the steps done, the steps in all and a note."""
        if self._on_progress is not None:
            self._on_progress(done, total, note)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_") or name not in analyses:
            raise AttributeError(f"A Lab has no attribute {name!r}. Its analyses: {', '.join(analyses)}.")
        return lambda **fields: self.ask(question(name, **fields))

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *analyses]

    def _photo(self, photo: Photo) -> str:
        if isinstance(photo, str) and not Path(photo).exists():
            if IMAGE.fullmatch(photo):
                return photo
            sample_ids = {sample.name: sample.id for sample in samples()}
            if photo in sample_ids:
                return sample_ids[photo]
        data = photo_bytes(photo)
        name = image_id(data)
        self._photos[name] = data
        self.files.image(name)  # so that what is no image is said here
        return name

    def _forward(
        self, network: Network, images: Tensor, ablation: Ablation | None, references: Sequence[Gates]
    ) -> Outputs:
        running, places = self._loaded(network)
        parts = [
            running.forward(list(images[start : start + BATCH]), ablation, references[start : start + BATCH])
            for start in range(0, len(images), BATCH)
        ]
        gates = {path: torch.cat([part[path] for _, part in parts]) for path in parts[0][1]}
        return Outputs(torch.cat([logits for logits, _ in parts]), gates, places)

    def _forward_each(
        self, network: Network, images: Tensor, ablations: Sequence[Ablation], references: Sequence[Sequence[Gates]]
    ) -> Tensor:
        running, _ = self._loaded(network)
        starts = range(0, len(images), BATCH)
        parts = [
            running.forward_each(list(images[start : start + BATCH]), ablations, references[start : start + BATCH])
            for start in starts
        ]
        return torch.cat(parts, 1)

    def _loaded(self, network: Network) -> tuple[Running, tuple[GateSite, ...]]:
        def load() -> tuple[Running, tuple[GateSite, ...]]:
            model = fused_copy(build(network.variant, self.files.checkpoints))
            return Running(model, self.device), sites(model)

        return self._networks.get((network.variant, network.stamp), load)


def _preprocess(how: Any) -> Preprocess | None:
    """Preprocessing as plain data; of transforms of torchvision's weights, their numbers."""
    if how is None or isinstance(how, Preprocess):
        return how
    try:
        filter = how.interpolation.value
        size, resize = how.crop_size[0], how.resize_size[0]
        return Preprocess(size=size, resize=resize, mean=how.mean, std=how.std, filter=filter, rounding="torchvision")
    except (AttributeError, ValueError, TypeError, IndexError):
        raise InvalidRequest(
            "preprocess is a Preprocess(size=..., resize=..., mean=..., std=...), or what weights.transforms() of "
            "torchvision's weights of classifiers gives."
        ) from None


def look(
    photo: Photo | Sequence[Photo], *networks: str | Variant, lab: Lab | None = None, top_k: int = 5
) -> Comparison:
    """Compare what networks see in a photo, or several, and what their attention does.

    Args:
        photo: a path, bytes, an array (H, W, 3), a PIL image, the name of a sample; or a list of such.
        networks: short names; a bare module name is a network that comes trained. None, SE and ECA if none is named.
        lab: where they run; None makes a new one.

    Raises:
        NotFound, BadImage: there is no such photo, or it cannot be read.
        UnknownName, BadVariantName: a network names something that is not there.
    """
    lab = lab or Lab()
    photos = photo if isinstance(photo, list | tuple) else [photo]
    fields = {"variants": networks} if networks else {}
    request = question("compare", images=lab.photos(*photos), top_k=top_k, **fields)
    assert isinstance(request, CompareRequest)
    return lab.ask(request)
