"""Where in these photos did each network find what speaks for its class? Grad-CAM, side by side.

Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization. Ramprasaath R. Selvaraju, Michael
Cogswell, Abhishek Das, Ramakrishna Vedantam, Devi Parikh, Dhruv Batra. ICCV 2017. https://arxiv.org/abs/1610.02391

    w_c = mean over places of d logit / d A_c,   map = ReLU(sum_c w_c A_c)

A is a feature map (C, H, W), the logit that of the class before the softmax. Where the classifier is linear on the
mean of A this is the class activation map of Bolei Zhou, Aditya Khosla, Agata Lapedriza, Aude Oliva, Antonio Torralba,
Learning Deep Features for Discriminative Localization, CVPR 2016, https://arxiv.org/abs/1512.04150, but for the ReLU
and the factor 1 / HW.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from attention.analyses import analyses
from attention.analyses.compare import class_score
from attention.analysis import AnyLab
from attention.backbones import Backbone
from attention.build import blank
from attention.data.preprocessing import crop, prepared
from attention.errors import InvalidRequest, did_you_mean
from attention.gate import slots
from attention.measuring.channel_gates import ran
from attention.measuring.confounds import differences_in_training
from attention.network import as_asked, need_classes
from attention.reports.cam import CamMap, CamNetwork, CamPhoto, CamReport, CamRequest
from attention.tracing.outputs import Outline, outlines
from attention.tracing.paths import named_modules

METHOD = (
    "Grad-CAM (Selvaraju et al., ICCV 2017, arXiv:1610.02391): channels of a feature map, weighted by the mean over "
    "places of the logit's derivative, summed, and cut off at 0. Each map is divided by its own maximum, so maps show "
    "where, and not how much: compare their maxima for that, within one network only."
)


@dataclass(frozen=True)
class GradCams:
    """Grad-CAM of some photos: heat maps before they are divided (B, H, W), logits (B, K), channels of the map."""

    heat: Tensor
    logits: Tensor
    channels: int


@analyses.register("cam")
def cam(request: CamRequest, lab: AnyLab) -> CamReport:
    """Where in these photos did each network find what speaks for its class? Grad-CAM, side by side."""
    subjects = [as_asked(lab.describe(variant), request) for variant in request.variants]
    for subject in subjects:
        need_classes(subject)
    inputs, sizes = prepared(map(lab.files.image, request.images), (subject.preprocess for subject in subjects))
    networks: list[CamNetwork] = []
    by_network: list[list[CamMap]] = []
    for number, subject in enumerate(subjects):
        lab.progress(number, len(subjects), subject.name)
        variant, names, how = subject.variant, subject.labels, subject.preprocess
        assert variant.classes is not None  # it is resolved
        target = class_number(request.target, names, variant.classes, subject.name)
        model = lab.network(variant)
        path, place, stage = feature_map(model, request.stage, subject.name)
        cams = grad_cam(model, place, inputs[how].to(lab.device), target)
        crops = [crop(width, height, how) for width, height in sizes]
        by_network.append(_maps(request, subject.name, cams, names, target, crops))
        height, width = cams.heat.shape[1:]
        network = CamNetwork(
            **dict(ran(subject, lab)) | {"dtype": "float32"},
            layer=path,
            stage=stage,
            channels=cams.channels,
            height=height,
            width=width,
            classes=variant.classes,
        )
        networks.append(network)
    maps = tuple(map_ for image in zip(*by_network, strict=True) for map_ in image)
    return CamReport(
        networks=tuple(networks),
        photos=tuple(
            CamPhoto(image=image, width=width, height=height)
            for image, (width, height) in zip(request.images, sizes, strict=True)
        ),
        maps=maps,
        caveats=(*differences_in_training(tuple(one for one in subjects if one.load)), *caveats(networks, maps)),
        method=METHOD,
    )


def class_number(target: int | str | None, names: Sequence[str], classes: int, network: str) -> int | None:
    """Give the index of the logit of a class, which is named or numbered; a number may be text. None gives None.

    Raises:
        InvalidRequest: the network has no such class.
    """
    if target is None or target in names:
        return None if target is None else names.index(str(target))
    if isinstance(target, int) or target.isdecimal():
        if int(target) not in range(classes):
            raise InvalidRequest(
                f"{network} tells {classes} classes apart, numbered 0 to {classes - 1}; there is no class {target}."
            )
        return int(target)
    if not names:
        raise InvalidRequest(
            f"{network} does not say what its classes are called, so {target!r} cannot be found. Say the class by its "
            f"number, 0 to {classes - 1}."
        )
    hint = did_you_mean(target, names)
    raise InvalidRequest(f"{network} has no class {target!r}.{hint if len(hint) < 300 else ''}")  # not all 1,000 names


def feature_map(model: nn.Module, stage: int | None, network: str) -> tuple[str, nn.Module, int | None]:
    """The module whose output is looked at, with its path and stage: after a stage, or before the classifier's pooling.

    Raises:
        InvalidRequest: the network has no such stage, or no map.
    """
    position = "tail" if stage is None else "stage"
    by_stage = {slot.stage: (path, slot) for path, slot in slots(model).items() if slot.position == position}
    if stage is None and not by_stage and isinstance(model, Backbone):
        return *_last_map(model, network), None
    number = max(by_stage) if stage is None else stage
    if number not in by_stage:
        stages = ", ".join(map(str, sorted(by_stage)))
        has = f"It has stages {stages}." if stages else "Its stages are not known; leave stage out for its last map."
        raise InvalidRequest(f"{network} has no stage {stage}. {has}")
    return *by_stage[number], number


def _last_map(model: Backbone, network: str) -> tuple[str, nn.Module]:
    """The module that is the last to give a map (1, C, H, W) of more than one place, by a pass of one image."""
    outputs = outlines(model, ((blank(model),), {}))
    maps = [
        path
        for path, calls in outputs.items()
        if isinstance(calls[-1], Outline) and len(calls[-1].shape) == 4 and max(calls[-1].shape[2:]) > 1
    ]
    if not maps:
        raise InvalidRequest(f"No layer of {network} gives a map (B, C, H, W), so there is no Grad-CAM of it.")
    return maps[-1], named_modules(model)[maps[-1]]


def grad_cam(model: nn.Module, place: nn.Module, images: Tensor, target: int | None) -> GradCams:
    """Grad-CAM of each image (B, 3, S, S), on what a module of a network in eval mode gives.

    The network must be the caller's own. In eval mode images do not see each other, so one backward pass of the sum
    of their logits gives each image its own gradient; and nothing before the feature map is differentiated.

    Args:
        target: the class for all images; None is each image's most probable one.
    """
    features: list[Tensor] = []

    def keep(module: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor:
        features.append(output.detach().requires_grad_())
        return features[-1].clone()  # what comes next may work in place

    model.requires_grad_(False)
    hook = place.register_forward_hook(keep)
    try:
        with torch.inference_mode(False), torch.enable_grad():
            logits = model(images.clone())
            classes = logits.argmax(1) if target is None else torch.full_like(logits[:, 0], target, dtype=torch.long)
            (feature,) = features
            (gradient,) = torch.autograd.grad(logits.gather(1, classes[:, None]).sum(), feature)
    finally:
        hook.remove()
    with torch.no_grad():
        importance = gradient.mean((2, 3), keepdim=True)  # (B, C, 1, 1)
        heat = (importance * feature).sum(1).clamp_min(0)  # (B, H, W)
    return GradCams(heat.float().cpu(), logits.detach().float().cpu(), feature.shape[1])


def _maps(
    request: CamRequest,
    network: str,
    cams: GradCams,
    names: Sequence[str],
    target: int | None,
    crops: Sequence[tuple[float, float, float, float]],
) -> list[CamMap]:
    """The heat maps of one network, in the order of the photos."""
    maps = []
    for number, image in enumerate(request.images):
        shares, heat = cams.logits[number].softmax(0), cams.heat[number]
        first, maximum = int(shares.argmax()), float(heat.max())
        aimed = first if target is None else target
        rows = (heat / maximum if maximum > 0 else heat).double().numpy().round(4).tolist()
        one = CamMap(
            image=image,
            network=network,
            target=class_score(aimed, names, float(shares[aimed])),
            first=class_score(first, names, float(shares[first])),
            crop=crops[number],
            maximum=maximum,
            grid=tuple(tuple(row) for row in rows),
        )
        maps.append(one)
    return maps


def caveats(networks: Sequence[CamNetwork], maps: Sequence[CamMap]) -> list[str]:
    """List what to know before reading heat maps: warnings, empty maps, how coarse they are."""
    sentences = [f"{network.name}: {network.warning}" for network in networks if network.warning]
    empty = [item for item in maps if item.maximum == 0]
    if empty:
        where = ", ".join(dict.fromkeys(item.network for item in empty))
        sentences.append(
            f"{len(empty)} of {len(maps)} maps are empty ({where}): no place of the feature map speaks for the class "
            "there, only against it."
        )
    coarse = {f"{item.height} x {item.width}" for item in networks if item.height * item.width <= 64}
    if coarse:
        sentences.append(
            f"Heat maps are as coarse as the feature map ({', '.join(sorted(coarse))}): drawn smoothly they look "
            "sharper than they are."
        )
    if len({(network.height, network.width) for network in networks}) > 1:
        sentences.append("The networks' feature maps differ in size, so their maps differ in sharpness.")
    return sentences
