"""Passwords as argon2id hashes, computed beside the event loop and never more than a few at once."""

from __future__ import annotations

import asyncio
import base64
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from backend.errors import BackendError, Fault
from backend.user_values import password_faults, unusable_password

THREADS = 2
WAITING = 64  # more than these and whoever asks is told to come back; about two seconds of work
SALT_BYTES = 16
HASH_BYTES = 32

Result = TypeVar("Result")


@dataclass(frozen=True)
class Cost:
    """What one hash takes; the parameters of argon2id (RFC 9106)."""

    memory_kib: int
    passes: int
    lanes: int


COST = Cost(memory_kib=19_456, passes=2, lanes=1)  # OWASP Password Storage Cheat Sheet
CHEAP = Cost(memory_kib=8, passes=1, lanes=1)  # for tests


@dataclass(frozen=True)
class PasswordHash:
    """A password that was checked and hashed already."""

    text: str = field(repr=False)


class Busy(BackendError):
    """So many passwords wait to be checked that this one was not taken; trying again in a moment will help."""


class Passwords:
    """Hashes and verifies passwords on threads of its own."""

    def __init__(self, cost: Cost = COST, *, threads: int = THREADS, waiting: int = WAITING) -> None:
        self._hasher = PasswordHasher(
            time_cost=cost.passes,
            memory_cost=cost.memory_kib,
            parallelism=cost.lanes,
            hash_len=HASH_BYTES,
            salt_len=SALT_BYTES,
            type=Type.ID,
        )
        self._no_hash = _nobodys_hash(cost)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="passwords")
        self._free = threading.BoundedSemaphore(threads + waiting)

    def accept(self, password: str) -> PasswordHash:
        """Return a new password, hashed; raises BackendError with every fault, or Busy. Blocks."""
        _refuse_weak(password)
        return PasswordHash(self.hash(password))

    async def accept_soon(self, password: str) -> PasswordHash:
        """Like ``accept``, without blocking the event loop."""
        _refuse_weak(password)
        return PasswordHash(await self.hash_soon(password))

    def hash(self, password: str) -> str:
        """Return the hash of a password, with its own salt and the cost inside; raises Busy. Blocks."""
        return self._begin(lambda: self._hash(password)).result()

    async def hash_soon(self, password: str) -> str:
        """Like ``hash``, without blocking the event loop."""
        return await asyncio.wrap_future(self._begin(lambda: self._hash(password)))

    def verify(self, hashed: str | None, password: str) -> bool:
        """Return whether *password* is the one that was hashed; raises Busy. Blocks.

        No hash is never right and takes the same time, so that nobody learns who has one.
        """
        return self._begin(lambda: self._verify(hashed, password)).result()

    async def verify_soon(self, hashed: str | None, password: str) -> bool:
        """Like ``verify``, without blocking the event loop."""
        return await asyncio.wrap_future(self._begin(lambda: self._verify(hashed, password)))

    def needs_rehash(self, hashed: str) -> bool:
        """Return whether *hashed* was made at another cost than is used now."""
        return self._hasher.check_needs_rehash(hashed)

    def close(self) -> None:
        """End the threads; what waits is dropped."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _begin(self, work: Callable[[], Result]) -> Future[Result]:
        if not self._free.acquire(blocking=False):
            raise Busy(Fault("auth.busy", "Too many people are signing in at this moment. Try again in a few seconds."))
        try:
            future = self._pool.submit(work)
        except BaseException:
            self._free.release()
            raise
        future.add_done_callback(lambda _done: self._free.release())
        return future

    def _hash(self, password: str) -> str:
        if (fault := unusable_password(password)) is not None:
            raise BackendError(fault)
        return self._hasher.hash(password)

    def _verify(self, hashed: str | None, password: str) -> bool:
        if unusable_password(password) is not None:
            return False
        try:
            return self._hasher.verify(hashed or self._no_hash, password) and hashed is not None
        except (VerificationError, InvalidHashError):
            return False


def _refuse_weak(password: str) -> None:
    if faults := password_faults(password):
        raise BackendError(*faults)


def _nobodys_hash(cost: Cost) -> str:
    """Return the hash of no password that anyone can know, without computing one."""
    salt, digest = (
        base64.b64encode(secrets.token_bytes(size)).decode().rstrip("=") for size in (SALT_BYTES, HASH_BYTES)
    )
    return f"$argon2id$v=19$m={cost.memory_kib},t={cost.passes},p={cost.lanes}${salt}${digest}"
