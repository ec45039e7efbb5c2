"""A hub on this machine, for the client library to meet: files, refusals, answers that break off, and what is sent."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from typing import Any, ClassVar
from urllib.parse import urlsplit

import pytest

from attention.weights.hub import LARGEST_BYTES

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "hf_of_the_tests"
needs_client = pytest.mark.skipif(
    find_spec("huggingface_hub") is None, reason="needs huggingface-hub: pip install 'attention-lab[hub]'"
)


class Server(BaseHTTPRequestHandler):
    """As much of the hub as a download and a push need. What a repository is like is its name."""

    weights: ClassVar[bytes] = b""
    config: ClassVar[bytes] = b'{"architecture": "resnet20"}'
    asked: ClassVar[list[str]] = []
    tokens: ClassVar[list[str | None]] = []
    cuts: ClassVar[int] = 0
    """How many answers from now on break off in the middle."""
    sent: ClassVar[dict[str, bytes]] = {}
    """Files of the last commit."""
    private: ClassVar[dict[str, bool]] = {}
    """Repositories that were made -> whether only their owner reads them."""

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        if self.path.startswith("/api/"):  # is there such a repository?
            return self._refuse(401, "RepoNotFound")
        self.asked.append(f"{self.command} {self.path} {self.headers.get('Range', '')}".strip())
        self.tokens.append(self.headers.get("Authorization"))
        _, _, name, _, revision, file = urlsplit(self.path).path.split("/", 5)  # a proxy is asked for a whole address
        refused = {"gated": (403, "GatedRepo"), "private": (401, "RepoNotFound"), "gone": (404, "RepoNotFound")}
        if name in refused:
            self._refuse(*refused[name])
        elif revision not in ("main", COMMIT):
            self._refuse(404, "RevisionNotFound")
        elif name == "broken":
            self._refuse(500, "")
        elif name == "pickled" or file not in ("model.safetensors", "config.json"):
            self._refuse(404, "EntryNotFound")
        else:
            data = self.weights if file == "model.safetensors" else self.config
            self._send(name, data, body)

    def do_POST(self) -> None:
        """Make a repository, or take a commit of small files as the hub's own API does."""
        content = self.rfile.read(int(self.headers["Content-Length"]))
        place = urlsplit(self.path).path
        self.tokens.append(self.headers.get("Authorization"))
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._refuse(401, "")
        elif place == "/api/repos/create":
            asked = json.loads(content)
            name = f"{asked['organization']}/{asked['name']}"
            self.private[name] = "private" in (asked.get("visibility"), asked.get("private") and "private")
            self._json({"url": f"http://{self.headers['Host']}/{name}"})
        elif place.endswith("/preupload/main"):
            files = [file["path"] for file in json.loads(content)["files"]]
            self._json({"files": [{"path": path, "uploadMode": "regular", "shouldIgnore": False} for path in files]})
        elif place.endswith("/commit/main"):
            name = place.removeprefix("/api/models").removesuffix("/commit/main")
            rows = [json.loads(row) for row in content.splitlines()]
            self.sent.clear()
            files = [row["value"] for row in rows if row["key"] == "file"]
            self.sent.update({file["path"]: base64.b64decode(file["content"]) for file in files})
            self._json({"commitOid": COMMIT, "commitUrl": f"http://{self.headers['Host']}{name}/commit/{COMMIT}"})
        else:
            self._json({"errors": [], "warnings": []})  # the client has the page's first lines checked

    def _json(self, answer: dict[str, Any]) -> None:
        content = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _send(self, name: str, data: bytes, body: bool) -> None:
        size = {"huge": 1 << 40, "large": LARGEST_BYTES}.get(name, len(data))
        digest = hashlib.sha256(b"else" if name == "corrupt" else data).hexdigest()
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
        self.send_response(206 if start else 200)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{digest}"')
        self.send_header("Accept-Ranges", "bytes")
        if start:
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        self.send_header("Content-Length", str(size - start))
        self.end_headers()
        if body:
            cut = len(data) > 10_000 and type(self).cuts > 0
            type(self).cuts -= cut
            self.wfile.write(data[start : len(data) * 7 // 8] if cut else data[start:])
            self.close_connection = True

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def serving() -> Iterator[str]:
    """Serve while inside; gives the address that HF_ENDPOINT should have."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
