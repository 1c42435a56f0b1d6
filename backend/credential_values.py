"""What a credential's name, settings, secret and hosts may be."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from ipaddress import ip_address
from typing import Any, get_args

from backend.errors import Fault
from backend.logins import KINDS
from backend.signatures import KEY_BYTES, Algorithm, Encoding, standard_key
from backend.user_values import is_printable

NAME_CHARS = 100
SECRET_CHARS = 4_096
USER_CHARS = 200
PREFIX_CHARS = 40
HOSTS = 50
NO_LOGIN = "none"  # what a webhook says that asks for no login: no credential may be called so
HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")  # RFC 9110 5.6.2, token
VISIBLE = re.compile(r"[\x21-\x7e]+")
VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
HOST = re.compile(r"(?P<host>\[[0-9a-f:.]+\]|[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?)(?::(?P<port>[0-9]{1,5}))?")
TAKEN_HEADERS = frozenset(
    {
        *("host", "content-length", "content-type", "content-encoding", "transfer-encoding", "connection", "cookie"),
        *("idempotency-key", "origin", "expect", "upgrade", "te", "trailer", "webhook-id", "webhook-timestamp"),
    }
)
OPTIONAL = {"hmac": {"algorithm": "sha256", "encoding": "hex", "prefix": ""}}  # settings that may be left out
SETTINGS = {"basic": ("user",), "header": ("header",), "hmac": ("header", "algorithm", "encoding", "prefix")}


def name_faults(name: object) -> Iterator[Fault]:
    """Yield what is wrong with a name."""
    if not isinstance(name, str) or not 0 < len(name.strip()) <= NAME_CHARS or not is_printable(name):
        message = f"A credential needs a name of at most {NAME_CHARS} printable characters on one line."
        yield Fault("credential.name_invalid", message, "name")
    elif "{{" in name or name.strip().casefold() == NO_LOGIN:
        yield Fault("credential.name_invalid", f"A credential cannot be called “{name.strip()[:20]}”.", "name")


def kind_faults(kind: object) -> Iterator[Fault]:
    """Yield what is wrong with a kind."""
    if kind not in KINDS:
        yield Fault("credential.kind_invalid", f"The kind of a credential is one of {', '.join(KINDS)}.", "kind")


def settings_in(kind: str, given: object, faults: list[Fault]) -> dict[str, Any]:
    """Return the settings of *kind* with what was left out filled in; adds to *faults* what is wrong with them."""
    if not isinstance(given, Mapping):
        faults.append(Fault("credential.settings_invalid", "The settings are an object.", "settings"))
        return {}
    known = SETTINGS.get(kind, ())
    for name in given:
        if name not in known:
            message = f"A credential of the kind {kind} has no setting “{str(name)[:40]}”."
            faults.append(Fault("credential.setting_unknown", message, f"settings.{str(name)[:40]}"))
    found = {name: given.get(name, OPTIONAL.get(kind, {}).get(name)) for name in known}
    for name, value in found.items():
        is_right, message = _CHECKS[name]
        if not isinstance(value, str) or not is_right(value):
            faults.append(Fault("credential.setting_invalid", message, f"settings.{name}"))
    return found


def secret_faults(kind: str, secret: object) -> Iterator[Fault]:
    """Yield what is wrong with a secret, of which nothing is said."""
    if not isinstance(secret, str) or not secret:
        yield Fault("credential.secret_missing", "Enter the secret.", "secret")
    elif len(secret) > SECRET_CHARS:
        yield Fault("credential.secret_invalid", f"A secret has at most {SECRET_CHARS:,} characters.", "secret")
    elif not _is_secret(kind, secret):
        yield Fault("credential.secret_invalid", _SECRETS[kind], "secret")


def hosts_in(given: object, faults: list[Fault]) -> list[str]:
    """Return hosts in lower case, once each; adds to *faults* what is none."""
    if isinstance(given, str) or not isinstance(given, Sequence):
        faults.append(Fault("credential.hosts_invalid", "The hosts are a list.", "hosts"))
        return []
    if len(given) > HOSTS:
        faults.append(Fault("credential.hosts_invalid", f"A credential has at most {HOSTS} hosts.", "hosts"))
        return []
    hosts = [each.strip().lower() if isinstance(each, str) else "" for each in given]
    for place, host in enumerate(hosts):
        if not _is_host(host):
            message = "A host is written api.example.com or api.example.com:8443, without https:// and path."
            faults.append(Fault("credential.host_invalid", message, f"hosts[{place}]"))
    return [*dict.fromkeys(hosts)]


def _is_secret(kind: str, secret: str) -> bool:
    match kind:
        case "bearer":
            return VISIBLE.fullmatch(secret) is not None
        case "header":
            return VALUE.fullmatch(secret) is not None
        case "standard_webhooks":
            try:
                standard_key(secret)
            except ValueError:
                return False
            return True
    return is_printable(secret)


def _is_host(text: str) -> bool:
    found = HOST.fullmatch(text)
    if found is None or len(text) > 260 or not 0 < int(found["port"] or 1) < 65_536:
        return False
    host = found["host"]
    if not host.startswith("[") and not host.rpartition(".")[2].isdecimal():
        return ".." not in host
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def _one_of(values: Collection[str]) -> Callable[[str], bool]:
    return lambda value: value in values


_CHECKS: dict[str, tuple[Callable[[str], bool], str]] = {
    "user": (
        lambda value: 0 < len(value) <= USER_CHARS and ":" not in value and is_printable(value),
        f"A user name has 1 to {USER_CHARS} printable characters and no colon.",
    ),
    "header": (
        lambda value: HEADER.fullmatch(value) is not None and value.lower() not in TAKEN_HEADERS,
        "A header's name is written like X-Api-Key, and is none that HTTP itself needs.",
    ),
    "algorithm": (_one_of(get_args(Algorithm)), f"The algorithm is one of {', '.join(get_args(Algorithm))}."),
    "encoding": (_one_of(get_args(Encoding)), f"The encoding is one of {', '.join(get_args(Encoding))}."),
    "prefix": (
        lambda value: len(value) <= PREFIX_CHARS and (not value or VISIBLE.fullmatch(value) is not None),
        f"The prefix has at most {PREFIX_CHARS} characters without blanks, such as sha256=.",
    ),
}
_SECRETS = {
    "basic": "A password is one line of printable characters.",
    "bearer": "A token is made of letters, digits and signs without blanks.",
    "header": "A header's value is one line of letters, digits and signs.",
    "hmac": "A signing secret is one line of printable characters.",
    "standard_webhooks": f"The secret begins with whsec_ and holds {KEY_BYTES[0]} to {KEY_BYTES[-1]} bytes in Base64.",
}
