"""The commands of the service. Settings come from the environment; see server/settings.py.

python -m server                        serve until told to stop
python -m server check                  try out the configuration: a line for each thing, OK, WARN or FAIL
python -m server keys create NAME       make an API key, and show it this once; --operator, --bytes N
python -m server keys list              the keys there are, without what is secret about them
python -m server keys revoke NAME       take a key no more
python -m server settings               all settings with their defaults, as a table in Markdown
"""

import asyncio
import logging
import signal
import socket
import sys
import tempfile
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Sequence

from pydantic import ValidationError
from starlette.types import Message, Receive, Scope, Send

from attention.commands import exit_code, may_be_cut_short, report_options
from attention.errors import AttentionError
from server import logs
from server.access.keys import UnreadableKeys, create_key, read_keys, revoke_key
from server.process import prepare_process, spare_collector
from server.settings import Settings, table


def main(arguments: Sequence[str] | None = None) -> None:
    """Do what the command line says."""
    with may_be_cut_short():
        _carry_out(_parse(arguments))


def _carry_out(arguments: Namespace) -> None:
    if arguments.command == "check":
        sys.exit(exit_code(lambda: check(arguments)))
    if arguments.command == "settings":
        print(table())
        return
    settings = read_settings()
    if arguments.command == "keys":
        sys.exit(exit_code(lambda: keys(settings, arguments)))
    else:
        serve(settings)


def check(arguments: Namespace) -> int:
    """Try out the configuration, and say what was found; 1 if anything failed."""
    check_platform()
    from server.engines import try_engine
    from server.operations.check import main as give_findings

    return give_findings(try_engine, arguments)


def serve(settings: Settings) -> None:
    """Serve until told to stop."""
    check_platform()
    for number in (signal.SIGINT, signal.SIGTERM):  # also while it starts, and when uvicorn has stopped cleanly
        signal.signal(number, lambda *_: sys.exit(0))
    prepare_process(settings)
    logs.configure(settings)
    check_folder(settings)
    check_database(settings)
    check_engine(settings)
    warn_of_exposure(settings)
    listener = listen(settings)

    import uvicorn  # after prepare_process: torch reads the environment once, when it is imported

    from server.app import create_app
    from server.web.connections import bounded

    app = create_app(settings)

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            spare_collector()

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            app.state.service.leaving.set()  # from here on not ready; and event streams end, or we would wait for them
            await asyncio.sleep(settings.drain_s)
            await super().shutdown(sockets)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        async def without_traceback(message: Message) -> None:
            obstacle = app.state.obstacle if message["type"] == "lifespan.startup.failed" else None
            await send({**message, "message": ""} if obstacle else message)

        await app(scope, receive, without_traceback if scope["type"] == "lifespan" else send)

    config = uvicorn.Config(
        application,
        http=bounded(settings),
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=settings.shutdown_timeout_s,
    )
    host, port = listener.getsockname()[:2]
    print(f"The API listens on http://{f'[{host}]' if ':' in host else host}:{port}", flush=True)
    try:
        Server(config).run(sockets=[listener])
    except SystemExit as end:
        sys.exit(app.state.obstacle or end.code)


def keys(settings: Settings, arguments: Namespace) -> None:
    """Make, list or revoke API keys.

    Raises:
        AttentionError: there is no such key, or the keys cannot be read.
    """
    if arguments.action == "create":
        key, token = create_key(
            settings.keys_path, arguments.name, operator=arguments.operator, quota_bytes=arguments.quota_bytes
        )
        print(token)
        print(
            f"This is the key {key.name!r}, shown this once: only its hash is kept, in {settings.keys_path}.\n"
            "Send it as `Authorization: Bearer KEY`; the dashboard takes it from ATTENTION_API_KEY.",
            file=sys.stderr,
        )
        if settings.access == "open":
            print("ATTENTION_ACCESS is open, so the service asks for no key all the same.", file=sys.stderr)
    elif arguments.action == "revoke":
        key = revoke_key(settings.keys_path, arguments.name)
        print(f"The key {key.name!r} ({key.id}) is revoked; a running service takes it no more in a second.")
    else:
        rows = [
            (
                key.id,
                key.name,
                f"{key.created:%Y-%m-%d %H:%M}",
                f"revoked {key.revoked:%Y-%m-%d %H:%M}" if key.revoked else "in use",
                key.operator,
                None if key.operator else key.quota_bytes or settings.key_bytes or None,
            )
            for key in read_keys(settings.keys_path).keys
        ]
        columns = ("id", "name", "created", "state", "operator", "most_bytes")
        report_options.give_list("keys", f"API keys in {settings.keys_path}.", columns, rows, arguments)


def read_settings() -> Settings:
    """The settings, or a sentence for each one that is wrong."""
    try:
        return Settings()
    except ValidationError as error:
        faults = [f"ATTENTION_{str(fault['loc'][0]).upper()}: {fault['msg']}." for fault in error.errors()]
        sys.exit("These settings are not right:\n  " + "\n  ".join(faults))


def check_platform(platform: str = sys.platform) -> None:
    """Make sure that this is a system on which jobs can run in process groups, or say what to use instead."""
    if platform == "win32":
        sys.exit("The service runs on Linux and macOS. On Windows, run it in WSL 2 or in its container.")


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


def check_database(settings: Settings) -> None:
    """Make sure that the database can be used, and bring it up to date; or say what is in the way."""
    from server.store import Store

    try:
        Store(settings.database_url).close()
    except AttentionError as error:
        sys.exit(str(error))


def check_engine(settings: Settings) -> None:
    """Make sure that the engine can be had and networks run on its device, or say what is missing."""
    from server.engines import check_installed, check_runs

    try:
        check_installed(settings)
        check_runs(settings)
    except AttentionError as error:
        sys.exit(str(error))


def warn_of_exposure(settings: Settings) -> None:
    """Warn loudly if requests need no key on an open address; or say why the keys cannot be read."""
    from server.access.middleware import exposure

    try:
        if settings.access != "open":
            read_keys(settings.keys_path)
        warning = exposure(settings)
    except UnreadableKeys as error:
        sys.exit(str(error))
    if warning is not None:
        logging.getLogger("server").warning(warning)


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


def _parse(arguments: Sequence[str] | None) -> Namespace:
    parser = ArgumentParser("python -m server", description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    commands.add_parser("serve", help="serve until told to stop; what happens without a command")
    report_options.add_arguments(commands.add_parser("check", help="try out the configuration"))
    commands.add_parser("settings", help="all settings with their defaults")
    add_key_actions(commands.add_parser("keys", help="make, list or revoke API keys"))
    return parser.parse_args(arguments)


def add_key_actions(parser: ArgumentParser) -> None:
    """What can be done with API keys."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    create = actions.add_parser("create", help="make a key, and show it this once")
    create.add_argument("name", metavar="NAME")
    create.add_argument("--operator", action="store_true", help="it sees and may change what any key keeps")
    create.add_argument(
        "--bytes", dest="quota_bytes", type=int, metavar="N", help="it may keep so many; else ATTENTION_KEY_BYTES"
    )
    report_options.add_arguments(actions.add_parser("list", help="the keys there are"))
    actions.add_parser("revoke", help="take a key no more").add_argument("name", metavar="NAME", help="or its id")


if __name__ == "__main__":
    main()
