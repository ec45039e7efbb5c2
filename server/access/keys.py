"""API keys: who may ask. The data folder holds their hashes in ``keys.json``; a key itself is shown once, when made.

A key is ``att_``, eight digits to find it by, and 256 random bits. What is kept is its SHA-256. A slow hash such as
Argon2 makes guessing dear where people choose secrets; 256 random bits are not guessed, however fast the hash is, and a
slow one would cost each request tens of milliseconds and hand senders of wrong keys a way to keep the service busy.
"""

import fcntl
import hashlib
import hmac
import json
import logging
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from pydantic import AwareDatetime, Field, ValidationError

from attention.errors import AttentionError, InvalidRequest, NotFound
from attention.spec import Plain

log = logging.getLogger(__name__)

NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
TOKEN = re.compile(r"att_([0-9a-f]{8})_[A-Za-z0-9_-]{43}")

LOOK_EVERY_S = 1.0
"""How long a running service takes at most to notice a key that was made or revoked."""


class Key(Plain):
    """An API key as it is kept: its name, id and hash, never the key itself."""

    id: str = Field(pattern=r"^[0-9a-f]{8}$", description="The digits it is found by; part of the key itself.")
    name: str = Field(pattern=f"^{NAME}$", description="Who or what it was made for.")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the whole key, in hex.")
    created: AwareDatetime = Field(description="When it was made, UTC.")
    operator: bool = Field(default=False, description="Whether it sees and may change what any key keeps.")
    quota_bytes: int | None = Field(default=None, ge=1, description="Bytes it may keep; null is the setting's.")
    revoked: AwareDatetime | None = Field(default=None, description="Since when it is not taken any more, UTC.")


class Keys(Plain):
    """All keys that were ever made; revoked ones stay, so that a service with none left is closed and not open."""

    keys: tuple[Key, ...] = ()


class UnreadableKeys(AttentionError):
    """The file of keys is there and cannot be used, so no request can be let in."""


def read_keys(path: Path) -> Keys:
    """The keys of a file; none if there is no file.

    Raises:
        UnreadableKeys: it cannot be read, or does not hold keys.
    """
    try:
        return Keys.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return Keys()
    except OSError as error:
        raise UnreadableKeys(
            f"The API keys in {path} cannot be read ({error.strerror}). Let the file belong to the service's user."
        ) from None
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"])) or "the file"
        raise UnreadableKeys(
            f"{path} does not hold API keys ({where}: {fault['msg']}). Put it back from a backup, or move it away and "
            "make new keys: python -m server keys create NAME."
        ) from None


def create_key(path: Path, name: str, *, operator: bool = False, quota_bytes: int | None = None) -> tuple[Key, str]:
    """Make a key and keep its hash. The second value is the key itself, which is nowhere else.

    Args:
        operator: whether it sees and may change what any key keeps.
        quota_bytes: how much it may keep; None is what the setting says.

    Raises:
        InvalidRequest: the name cannot be, or is taken.
        UnreadableKeys: the file cannot be used.
    """
    if not re.fullmatch(NAME, name):
        raise InvalidRequest(
            f"{name!r} is not a name for a key. Take letters, digits, dots, dashes and underscores; 64 at most."
        )
    if operator and quota_bytes is not None:
        raise InvalidRequest("An operator's key keeps without a quota: leave out one of the two.")
    if quota_bytes is not None and quota_bytes < 1:
        raise InvalidRequest("A key may keep 1 byte at least. Leave the number out for what ATTENTION_KEY_BYTES says.")
    with _changing(path) as keys:
        if any(key.name == name and key.revoked is None for key in keys):
            raise InvalidRequest(f"There is a key named {name!r} already. Revoke it first, or take another name.")
        ids = {key.id for key in keys}
        number = next(number for number in iter(lambda: secrets.token_hex(4), "") if number not in ids)
        token = f"att_{number}_{secrets.token_urlsafe(32)}"
        key = Key(
            id=number,
            name=name,
            sha256=_digest(token),
            created=datetime.now(UTC).replace(microsecond=0),
            operator=operator,
            quota_bytes=quota_bytes,
        )
        keys.append(key)
    return key, token


def revoke_key(path: Path, name: str) -> Key:
    """Revoke an API key, by its name or its id.

    Raises:
        NotFound: there is none in use that is called so.
        UnreadableKeys: the file cannot be used.
    """
    with _changing(path) as keys:
        for place, key in enumerate(keys):
            if name in (key.name, key.id) and key.revoked is None:
                keys[place] = key.model_copy(update={"revoked": datetime.now(UTC).replace(microsecond=0)})
                return keys[place]
    raise NotFound(f"There is no key in use named {name!r}. python -m server keys list shows those there are.")


class KeyRing:
    """The keys of a file as a running service sees them; changes are noticed within a second.

    Args:
        path: the file; it need not be there.
        clock: seconds that only grow.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._look_at = -1.0
        self._seen: tuple[int, ...] | None = None
        self._keys: dict[str, Key] = {}
        self._some = False
        self._fault: UnreadableKeys | None = None

    @property
    def some(self) -> bool:
        """Whether a key has ever been made, also one that is revoked by now.

        Raises:
            UnreadableKeys: the file cannot be read.
        """
        self._look()
        return self._some

    def find(self, token: str) -> Key | None:
        """The key in use that this is; None if it is none.

        Raises:
            UnreadableKeys: the file cannot be read.
        """
        self._look()
        match = TOKEN.fullmatch(token)
        key = self._keys.get(match[1]) if match else None
        if key is None or not hmac.compare_digest(_digest(token), key.sha256):
            return None
        return key

    def _look(self) -> None:
        """Read the file if it has changed, at most once a second."""
        now = self._clock()
        if now >= self._look_at:
            self._look_at = now + LOOK_EVERY_S
            if (state := _state(self._path)) != self._seen:
                self._seen = state
                self._read()
        if self._fault is not None:
            raise self._fault

    def _read(self) -> None:
        self._keys, self._fault = {}, None
        try:
            keys = read_keys(self._path).keys
        except UnreadableKeys as error:
            self._fault = error
            log.error("%s Until then every request that needs a key is refused.", error)
        else:
            self._some = self._some or bool(keys)  # a file that vanishes opens nothing
            self._keys = {key.id: key for key in keys if key.revoked is None}


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _state(path: Path) -> tuple[int, ...] | None:
    """What changes about a file whenever it is written; None if it is not there."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size, status.st_mode


@contextmanager
def _changing(path: Path) -> Iterator[list[Key]]:
    """The keys of a file, to be changed by one process at a time; written whole when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)  # released with the descriptor, however the process ends
        keys = list(read_keys(path).keys)
        yield keys
        _write(path, Keys(keys=tuple(keys)))
    finally:
        os.close(folder)


def _write(path: Path, keys: Keys) -> None:
    """Replace the file by a whole new one that only its owner can read."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(keys.model_dump(mode="json"), file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        if os.geteuid() == 0:  # made by root for a service that is not
            owner = path.parent.stat()
            os.chown(temporary, owner.st_uid, owner.st_gid)
        os.replace(temporary, path)
    except BaseException:
        with suppress(FileNotFoundError):
            temporary.unlink()
        raise
