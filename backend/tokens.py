"""Random texts that work like a password: what is handed out, and the digest that is kept of it."""

from __future__ import annotations

import hashlib
import re
import secrets

TOKEN_BYTES = 32  # 256 bits
TOKEN_CHARS = 43  # of url-safe base64
SHAPE = re.compile(rf"[A-Za-z0-9_-]{{{TOKEN_CHARS}}}")


def new_token() -> str:
    """Return a fresh token: 43 characters of ``[A-Za-z0-9_-]``."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def is_token(value: object) -> bool:
    """Tell whether *value* has the shape of a token; anything else is no use looking up."""
    return isinstance(value, str) and len(value) == TOKEN_CHARS and SHAPE.fullmatch(value) is not None


def digest_of(token: str) -> str:
    """Return what is stored of a token. It has too many bits to be guessed, so one round of SHA-256 is enough."""
    return hashlib.sha256(token.encode()).hexdigest()
