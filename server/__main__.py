"""Start the service: ``python -m server``. Settings come from the environment; see server/settings.py."""

import socket
import sys
import tempfile

from pydantic import ValidationError

from server.process import prepare_process
from server.settings import Settings


def main() -> None:
    """Serve until told to stop."""
    settings = read_settings()
    prepare_process(settings)
    check_folder(settings)
    listener = listen(settings)

    import uvicorn  # after prepare_process: torch reads the environment once, when it is imported

    from server.app import create_app

    app = create_app(settings)

    class Server(uvicorn.Server):
        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            app.state.service.leaving.set()  # or it would wait for event streams to end
            await super().shutdown(sockets)

    access_log = settings.log_level == "debug"
    config = uvicorn.Config(app, log_level=settings.log_level, access_log=access_log)
    host, port = listener.getsockname()[:2]
    print(f"The API listens on http://{f'[{host}]' if ':' in host else host}:{port}", flush=True)
    Server(config).run(sockets=[listener])


def read_settings() -> Settings:
    """The settings, or a sentence for each one that is wrong."""
    try:
        return Settings()
    except ValidationError as error:
        faults = [f"ATTENTION_{str(fault['loc'][0]).upper()}: {fault['msg']}." for fault in error.errors()]
        sys.exit("These settings are not right:\n  " + "\n  ".join(faults))


def check_folder(settings: Settings) -> None:
    """Make sure that the data folder can be written, or say what is in the way."""
    try:
        settings.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=settings.folder):
            pass
    except OSError as error:
        sys.exit(
            f"The data folder {settings.folder} cannot be written ({error.strerror}). "
            "Make it writable, or name another one in ATTENTION_DATA."
        )


def listen(settings: Settings) -> socket.socket:
    """A socket that listens where the settings say, or a sentence on why there is none."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=2048)
    except OSError as error:
        reason = str(error.strerror).partition(" (while")[0]  # the rest repeats the address
        sys.exit(
            f"The service cannot listen on {settings.host}:{settings.port} ({reason}). "
            "Stop what is using the port, or choose another one in ATTENTION_PORT."
        )


if __name__ == "__main__":
    main()
