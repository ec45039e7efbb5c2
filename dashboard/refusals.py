"""Refusals: what the service would not do, in the reader's language by the kind of problem, then in its own words.

A sentence of the service that has a template is shown translated (`dashboard.service_sentences`). Any other one comes
behind what its kind of problem means, so that no Chinese reader meets an English sentence alone.
"""

import re

from dashboard import language
from dashboard.language import marked, say
from dashboard.service_sentences import translated, with_minus

KINDS = {
    "bad-request": marked("The file or table cannot be read."),
    "bad-table": marked("The file or table cannot be read."),
    "malformed-request": marked("The file or table cannot be read."),
    "not-found": marked("That is not stored here."),
    "missing-photos": marked("A photo is not here any more; upload it again."),
    "unauthorized": marked("An API key is needed."),
    "unreadable-keys": marked("An API key is needed."),
    "not-an-operator": marked("That needs the key of an operator."),
    "not-owned": marked("It belongs to another key, which shares it."),
    "forbidden": marked("That is not allowed from here."),
    "foreign-origin": marked("That is not allowed from here."),
    "misdirected-request": marked("That is not allowed from here."),
    "method-not-allowed": marked("The service does not know this question; is it of another version?"),
    "not-acceptable": marked("The service does not know this question; is it of another version?"),
    "unsupported-media-type": marked("The service does not take files of this kind."),
    "request-timeout": marked("It took too long; try again."),
    "conflict": marked("The name is taken, or an unfinished job needs it."),
    "cancelled": marked("It was stopped."),
    "request-entity-too-large": marked("It is larger than the limits."),
    "too-large": marked("It is larger than the limits."),
    "quota-exceeded": marked("Your key may not keep more; delete something first."),
    "head-too-large": marked("It is larger than the limits."),
    "unprocessable-entity": marked("It cannot be done as asked."),
    "attention-error": marked("It cannot be done as asked."),
    "invalid-request": marked("It cannot be done as asked."),
    "too-many-requests": marked("The service has too much to do; try again in a moment."),
    "service-unavailable": marked("The service has too much to do; try again in a moment."),
    "overloaded": marked("The service has too much to do; try again in a moment."),
    "internal-server-error": marked("This is a bug in the service; its log says more."),
    "unexpected-error": marked("This is a bug in the service; its log says more."),
    "bad-image": marked("This is no photo that can be read."),
    "unreadable-photos": marked("This is no photo that can be read."),
    "bad-checkpoint": marked("These weights do not fit the network."),
    "mismatch": marked("These weights do not fit the network."),
    "bad-data": marked("This data set cannot be used as it is."),
    "refused": marked("This data set cannot be used as it is."),
    "diverged": marked("The training diverged."),
    "storage-failed": marked("The service cannot store anything now."),
    "unknown-name": marked("There is nothing of that name."),
    "bad-option": marked("The module or backbone does not take this option or value."),
    "bad-variant-name": marked("This is no name of a network."),
    "bad-placement": marked("Attention cannot sit at this place."),
}
"""Kind of problem -> what it means for the reader."""
FAILED = marked("It did not work.")


def explained(error: Exception | str | None) -> str:
    """Why something was refused or failed, for the reader: an error of the service or library, or a job's sentence."""
    text = str(error or "") or say("It failed without a reason.")
    shown = translated(text)
    if language.current() == "en" or shown != with_minus(text):
        return shown
    kind = getattr(error, "kind", "") or re.sub(r"(?<!^)(?=[A-Z])", "-", type(error).__name__).lower()
    return f"{say(KINDS.get(kind, FAILED))} {text}"
