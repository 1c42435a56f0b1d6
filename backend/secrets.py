"""Secrets at rest: the key of an installation, and what is locked with it."""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
import tempfile
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from backend.errors import BackendError, Fault

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

KEY_FILE = "secret.key"
KEY_CHARS = 16  # the fewest a key may have
SETTINGS = b"pw settings v1"  # what a key is for, at most 16 bytes: a text locked for one purpose opens for no other
MAILBOX = b"pw mailbox v1"
PAYLOADS = b"pw payloads v1"
CREDENTIALS = b"pw credential v1"
CAUSES = b"pw causes v1"
LOCKED = "gAAAAA"  # how every locked text begins: Fernet's version byte and the upper bytes of its time
UNREADABLE = "secret.unreadable"


class SecretBox:
    """Locks and unlocks short texts with AES and an HMAC (Fernet); a changed or foreign text does not open."""

    def __init__(self, key: str, purpose: bytes = SETTINGS) -> None:
        self._key = key
        self._purpose = purpose

    def for_purpose(self, purpose: bytes) -> SecretBox:
        """Return a box of the same key whose texts only open for *purpose*."""
        return SecretBox(self._key, purpose)

    def encrypt(self, text: str) -> str:
        """Return *text* locked, as ASCII."""
        return self._fernet.encrypt(text.encode()).decode()

    def decrypt(self, locked: str) -> str:
        """Return what ``encrypt`` was given; raises BackendError if it was locked with another key."""
        from cryptography.fernet import InvalidToken

        try:
            return self._fernet.decrypt(locked.encode()).decode()
        except (InvalidToken, UnicodeError) as error:
            message = "A stored password cannot be read with this secret key. Bring the key back, or enter it again."
            raise BackendError(Fault(UNREADABLE, message)) from error

    def tag(self, text: str) -> str:
        """Return a digest of *text* that tells nothing of it without the key."""
        return hashlib.blake2b(text.encode(), key=self._derived, digest_size=32).hexdigest()

    @cached_property
    def _derived(self) -> bytes:
        return hashlib.blake2b(self._key.encode(), digest_size=32, person=self._purpose).digest()

    @cached_property
    def _fernet(self) -> Fernet:
        from cryptography.fernet import Fernet  # here because it is heavy and most processes never need it

        return Fernet(base64.urlsafe_b64encode(self._derived))


def load_or_create_key(data_dir: Path, configured: str | None) -> str:
    """Return the *configured* key, or the one in *data_dir*, made with mode 600 where there is none yet.

    Of several processes starting at once all get the same. Raises BackendError for a key too short to be one.
    """
    if configured is not None:
        return _checked(configured.strip(), "PULSEWIRE_SECRET_KEY")
    path = data_dir / KEY_FILE
    if not path.exists():
        _create(path, secrets.token_urlsafe(32))
    path.chmod(0o600)
    return key_in(path)


def key_in(path: Path) -> str:
    """Return the key in a file; raises BackendError for one too short to be one."""
    return _checked(path.read_text(errors="replace").strip(), str(path))


def read_key(data_dir: Path, configured: str | None) -> str | None:
    """Return the *configured* key, or the one in *data_dir*, or None where there is none yet."""
    if configured is None and not (data_dir / KEY_FILE).exists():
        return None
    return load_or_create_key(data_dir, configured)


def write_key(path: Path, key: str) -> None:
    """Write a key to a file that only its owner can read; one that is there is replaced."""
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 600
    with os.fdopen(handle, "w") as file:
        file.write(key + "\n")
        file.flush()
        os.fsync(file.fileno())
    Path(draft).replace(path)


def _create(path: Path, key: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 600
    try:
        with os.fdopen(handle, "w") as file:
            file.write(key + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            path.hardlink_to(draft)  # whole or not at all; the first process wins
        except FileExistsError:
            return
    finally:
        Path(draft).unlink()


def _checked(key: str, place: str) -> str:
    if len(key) < KEY_CHARS:
        message = f"The secret key in {place} is damaged or too short: it needs {KEY_CHARS} characters or more."
        raise BackendError(Fault("secret.key_invalid", message))
    return key
