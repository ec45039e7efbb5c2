"""Refusals: what the service would not do, in the reader's language by the kind of problem, then in its own words.

A sentence of the service that has a template is shown translated (`dashboard.service_sentences`). Any other one comes
behind what its kind of problem means, so that no Chinese reader meets an English sentence alone.
"""

import re

from dashboard import language
from dashboard.language import marked, say
from dashboard.service_sentences import translated, with_minus

STATUSES = {
    400: marked("The file or table cannot be read."),
    401: marked("An API key is needed."),
    403: marked("That is not allowed from here."),
    404: marked("That is not stored here."),
    405: marked("The service does not know this question; is it of another version?"),
    406: marked("The service does not know this question; is it of another version?"),
    408: marked("It took too long; try again."),
    409: marked("The name is taken, or an unfinished job needs it."),
    413: marked("It is larger than the limits."),
    415: marked("The service does not take files of this kind."),
    421: marked("That is not allowed from here."),
    422: marked("It cannot be done as asked."),
    429: marked("The service has too much to do; try again in a moment."),
    500: marked("This is a bug in the service; its log says more."),
    503: marked("The service has too much to do; try again in a moment."),
}
"""Status of an answer -> what it means for the reader."""
KINDS = {
    "attention-error": marked("It cannot be done as asked."),
    "missing-photos": marked("A photo is not here any more; upload it again."),
    "unreadable-keys": marked("An API key is needed."),
    "not-an-operator": marked("That needs the key of an operator."),
    "not-owned": marked("It belongs to another key, which shares it."),
    "cancelled": marked("It was stopped."),
    "quota-exceeded": marked("Your key may not keep more; delete something first."),
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
"""Kind of problem -> what it means for the reader, where that is more than its status says."""
FAILED = marked("It did not work.")


def explained(error: Exception | str | None) -> str:
    """Why something was refused or failed, for the reader: an error of the service or library, or a job's sentence."""
    text = str(error or "") or say("It failed without a reason.")
    shown = translated(text)
    if language.current() == "en" or shown != with_minus(text):
        return shown
    return f"{say(_meaning(error))} {text}"


def _meaning(error: Exception | str | None) -> str:
    """What an error means: by its kind, else its status, else its class or the nearest parent that is known."""
    classes = [re.sub(r"(?<!^)(?=[A-Z])", "-", cls.__name__).lower() for cls in type(error).__mro__]
    status = STATUSES.get(getattr(error, "status", None) or 0)
    kind = KINDS.get(getattr(error, "kind", ""))
    return kind or status or next((KINDS[name] for name in classes if name in KINDS), FAILED)
