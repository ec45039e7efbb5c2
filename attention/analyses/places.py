"""Where in a network can attention sit, and where does it in these variants?"""

from attention.analyses import analyses
from attention.analysis import AnyLab
from attention.build import map_sides, resolve, skeleton
from attention.gate import slots
from attention.reports.modules import Place, Places, PlacesReport, PlacesRequest
from attention.spec import Variant


@analyses.register("places")
def places(request: PlacesRequest, lab: AnyLab) -> PlacesReport:
    """Where in a network can attention sit, and where does it in these variants?"""
    return PlacesReport(variants=tuple(_places(resolve(variant)) for variant in request.variants))


def _places(variant: Variant) -> Places:
    model, sides = skeleton(variant), map_sides(variant.plain)
    return Places(
        name=variant.name,
        variant=variant,
        input_size=model.input_size,
        places=tuple(
            Place(
                path=path,
                position=slot.position,
                stage=slot.stage,
                block=slot.block,
                channels=slot.channels,
                side=sides.get(path, slot.side),  # a slot behind a layer is none of the plain network
                filled=len(slot) > 0,
                parameters=sum(parameter.numel() for parameter in slot.parameters()),
            )
            for path, slot in slots(model).items()
        ),
    )
