"""Which gates are replaced together: each alone, a stage, all, one after another from either end, or a chosen set."""

from collections.abc import Iterable, Sequence

from torch import nn

from attention.gate import chosen, sites
from attention.reports.sweep import FAMILIES, Family, LabelledSite, Scope
from attention.spec import Ablation


def labelled_sites(model: nn.Module) -> tuple[LabelledSite, ...]:
    """Every gate of a network from input to output, with a short name of its own."""
    gate_sites = sites(model)
    short = [f"{site.stage}.{site.block}" + ("" if site.kind == "channel" else f" {site.kind}") for site in gate_sites]
    return tuple(
        LabelledSite(**dict(site), label=label if short.count(label) == 1 else f"{label} {site.path.split('.', 2)[-1]}")
        for site, label in zip(gate_sites, short, strict=True)
    )


def scopes(
    model: nn.Module, sites: Sequence[LabelledSite], families: Iterable[Family], sets: Sequence[tuple[str, ...]] = ()
) -> tuple[Scope, ...]:
    """The sets of gates of each family, and those of ``sets``, which are paths or prefixes of them.

    Raises:
        InvalidRequest: a set names a gate that is not there.
    """
    paths = [site.path for site in sites]
    ordered = [family for family in FAMILIES if family in set(families)]
    all_scopes: list[Scope] = []
    for family in ordered:
        all_scopes += _of_family(family, sites, paths)
    for number, named in enumerate(sets):
        inside = chosen(model, Ablation(kind="scalar", gates=named))
        gates = tuple(path for path in paths if path in inside)
        label = ", ".join(named) if len(named) <= 3 else f"{named[0]} and {len(named) - 1} more"
        all_scopes.append(
            Scope(id=f"set:{number + 1}", family="set", label=label, stage=None, order=number, gates=gates)
        )
    return tuple(all_scopes)


def _of_family(family: Family, sites: Sequence[LabelledSite], paths: list[str]) -> list[Scope]:
    def scope(id: str, label: str, stage: int | None, order: int, gates: Iterable[str]) -> Scope:
        return Scope(id=id, family=family, label=label, stage=stage, order=order, gates=tuple(gates))

    if family == "gate":
        return [
            scope(f"gate:{site.path}", site.label, site.stage, order, (site.path,)) for order, site in enumerate(sites)
        ]
    if family == "stage":
        stages = sorted({site.stage for site in sites})
        return [
            scope(
                f"stage:{stage}", f"stage {stage}", stage, order, (site.path for site in sites if site.stage == stage)
            )
            for order, stage in enumerate(stages)
        ]
    if family == "all":
        return [scope("all", "all", None, 0, paths)]
    if family == "set":
        return []  # they have no members but those that are named
    counts = range(1, len(paths) + 1)
    if family == "first_to_last":
        return [
            scope(f"{family}:{count}", f"up to {sites[count - 1].label}", None, count - 1, paths[:count])
            for count in counts
        ]
    return [
        scope(f"{family}:{count}", f"from {sites[-count].label} on", None, count - 1, paths[-count:])
        for count in counts
    ]
