"""How large a question may be: what its networks hold, what a forward pass keeps, and how much work it is.

A name of thirty letters can ask for a network of forty gigabytes (``resnet152(width=4,inner_width=4)``). So every
network of a question is counted first, on the meta device, where it takes no memory and some hundredths of a second,
whatever its width. Questions that only count are not limited: they are how one finds out.
"""

from functools import lru_cache
from typing import Any

from attention.counting.cost import count
from attention.errors import TooLarge
from attention.models.own_models import renewed
from attention.names import Size, write_size
from attention.reports.cost import VariantCost
from attention.spec import Request, Variant
from server.settings import Settings
from server.stored.references import images, variants

BYTES = 4
"""Of a number in float32, the format that networks are built in."""


def check_networks(question: Request[Any], settings: Settings) -> None:
    """Return if every network that a question has built is one that fits.

    Raises:
        TooLarge: one has more weights than the limit, or its largest forward pass keeps more.
        AttentionError: one cannot be built.
    """
    if question.counts_only:
        return
    largest = question.largest_pass
    for variant in dict.fromkeys(variants(question)):
        bill = _bill(variant, largest.size)
        weights = BYTES * (bill.total.parameters + bill.total.buffers)
        if weights > settings.max_network_bytes:
            raise TooLarge(
                f"The network {bill.name} has {bill.total.parameters:,} parameters, {_said(weights)} in float32; "
                f"networks of up to {_said(settings.max_network_bytes)} are built here. Make it narrower, or ask what "
                "it costs, which has no limit; the operator can raise ATTENTION_MAX_NETWORK_BYTES."
            )
        together = largest.images or settings.max_batch_size
        pass_bytes = together * (bill.total.activation_bytes if largest.trains else bill.peak_activation_bytes)
        if pass_bytes > settings.max_pass_bytes:
            raise TooLarge(
                f"A forward pass of {together} images of {write_size(bill.input_size)} pixels through "
                f"{bill.name} keeps {_said(pass_bytes)}{' for training' if largest.trains else ''}; up to "
                f"{_said(settings.max_pass_bytes)} are taken here. Take smaller images or fewer at once, or another "
                "network; the operator can raise ATTENTION_MAX_PASS_BYTES."
            )


def check_at_once(question: Request[Any], settings: Settings) -> None:
    """Check a question that is answered while its client waits: its networks, and how much work it is.

    Raises:
        TooLarge, AttentionError: as `check_networks`; TooLarge if it is more work than the limit.
    """
    check_networks(question, settings)
    if question.counts_only or not (looked_at := images(question)):
        return
    work = (
        sum(_bill(variant, question.largest_pass.size).total.macs for variant in variants(question)) * looked_at / 1e9
    )
    if work > settings.max_answer_gmacs:
        raise TooLarge(
            f"This question sends up to {looked_at:,} images through its networks, {work:,.0f} billion "
            f"multiply-accumulates; up to {settings.max_answer_gmacs:,} billion are answered at once. Ask about fewer "
            'images or networks, or ask it as a job: POST /v1/jobs with {"analysis": '
            f'"{question.analysis}", "request": {{...}}}}.'
        )


@renewed
@lru_cache(maxsize=4096)
def _bill(variant: Variant, size: Size | None) -> VariantCost:
    return count(variant, size)


def _said(size: int) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e8 else f"{size / 1e6:,.1f} MB"
