"""A stored login with its secret in clear: what it adds to a request, and which requests it admits."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, get_args

from backend import signatures

Kind: TypeAlias = Literal["basic", "bearer", "header", "hmac", "standard_webhooks"]
KINDS: tuple[Kind, ...] = get_args(Kind)
SIGNING = frozenset({"hmac", "standard_webhooks"})  # what they send depends on the body


@dataclass(frozen=True)
class Login:
    """*settings* are not secret: the user of ``basic``, the header's name of ``header``, how an HMAC is written."""

    name: str
    kind: Kind
    settings: Mapping[str, Any]
    secret: str = field(repr=False)
    hosts: tuple[str, ...] = ()

    @property
    def is_signing(self) -> bool:
        """Whether the whole body is needed to check it."""
        return self.kind in SIGNING

    @property
    def header_names(self) -> tuple[str, ...]:
        """The headers, in lower case, whose values are the login or prove that it is known."""
        match self.kind:
            case "header" | "hmac":
                return (str(self.settings["header"]).lower(),)
            case "standard_webhooks":
                return tuple(f"{family}-signature" for family in signatures.FAMILIES)
        return ("authorization",)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The texts that must not stand in clear where a request or its answer is shown."""
        return (self.secret, self._basic()) if self.kind == "basic" else (self.secret,)

    def headers(self, body: bytes, message_id: str, now_s: float) -> dict[str, str]:
        """Return what is added to a request with *body*; *message_id* is the same in every attempt."""
        match self.kind:
            case "basic":
                return {"Authorization": f"Basic {self._basic()}"}
            case "bearer":
                return {"Authorization": f"Bearer {self.secret}"}
            case "header":
                return {str(self.settings["header"]): self.secret}
            case "hmac":
                signed = signatures.hmac_signature(self.secret, body, *self._written())
                return {str(self.settings["header"]): signed}
        key = signatures.standard_key(self.secret)
        signed = signatures.standard_signature(key, message_id, int(now_s), body)
        return {"Webhook-Id": message_id, "Webhook-Timestamp": str(int(now_s)), "Webhook-Signature": signed}

    def admits(self, headers: Mapping[str, str], body: bytes, now_s: float) -> bool:
        """Return whether a request with these *headers*, names in lower case, knows the secret."""
        match self.kind:
            case "basic":
                return self._is_basic(headers.get("authorization", ""))
            case "bearer":
                scheme, _, token = headers.get("authorization", "").partition(" ")
                return signatures.is_equal(token.strip(), self.secret) and scheme.lower() == "bearer"
            case "header":
                return signatures.is_equal(headers.get(self.header_names[0], ""), self.secret)
            case "hmac":
                given = headers.get(self.header_names[0], "")
                return signatures.has_hmac_signature(given, self.secret, body, *self._written())
        return signatures.has_standard_signature(signatures.standard_key(self.secret), headers, body, now_s)

    def _basic(self) -> str:
        return base64.b64encode(f"{self.settings['user']}:{self.secret}".encode()).decode()

    def _is_basic(self, authorization: str) -> bool:
        scheme, _, encoded = authorization.partition(" ")
        try:
            given = base64.b64decode(encoded.strip(), validate=True).decode()
        except (binascii.Error, ValueError):
            return False
        return signatures.is_equal(given, f"{self.settings['user']}:{self.secret}") and scheme.lower() == "basic"

    def _written(self) -> tuple[str, str, str]:
        return self.settings["algorithm"], self.settings["encoding"], self.settings["prefix"]
