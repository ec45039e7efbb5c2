"""Service: the live things that routes use, made when the app starts."""

from functools import cached_property

from starlette.requests import Request

from server.catalog import catalog, version
from server.engine import Engine
from server.gallery import Gallery
from server.settings import Settings
from server.store import Store


class Service:
    """Engine, store and gallery of one app."""

    def __init__(self, settings: Settings, engine: Engine, store: Store) -> None:
        self.settings = settings
        self.engine = engine
        self.store = store
        self.gallery = Gallery(engine.files, store)
        self.version = version()

    @cached_property
    def catalog_json(self) -> bytes:
        """The catalogue as it goes out; it cannot change while the service runs."""
        return catalog().model_dump_json().encode()


def service(request: Request) -> Service:
    """The service that a request came to."""
    found: Service = request.app.state.service
    return found
