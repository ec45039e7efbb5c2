"""preload: brings networks into memory at the start, so that no visitor waits for them."""

import logging

from attention.data.files import samples
from attention.errors import AttentionError
from attention.reports.compare import CompareRequest
from attention.spec import Variant
from server.service import Service

log = logging.getLogger(__name__)


async def preload(service: Service) -> None:
    """Ask each network that the settings name about a sample photo; one that cannot be loaded is said in the log."""
    while service.loading:
        name = service.loading[0]
        question = CompareRequest(images=(samples()[0].id,), variants=(Variant.parse(name),))
        try:
            await service.engine.answer(question)
        except AttentionError as error:
            log.error("%s of ATTENTION_PRELOAD cannot be loaded: %s", name, error)
        except Exception:
            log.exception("%s of ATTENTION_PRELOAD cannot be loaded.", name)
        else:
            log.info("%s is loaded.", name)
        del service.loading[0]
