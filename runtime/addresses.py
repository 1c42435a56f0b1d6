"""Which addresses a flow may call: strict reading of URLs and the table of addresses that are not public.

Everything here is a pure function of its arguments; ``runtime/outbound.py`` applies it before and while connecting.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from yarl import URL

from nodes.spec import NodeError

URL_CHARS = 8_000
DEFAULT_PORTS = {"http": 80, "https": 443}

# IANA IPv4 and IPv6 special-purpose registries; written out because ``is_private`` and ``is_global`` miss several
# and differ between Python versions.
CLOSED_IPV4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",  # a cloud's host agent
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
GLOBAL_UNICAST = IPv6Network("2000::/3")
CLOSED_IPV6 = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments, Teredo among them
        "2001:db8::/32",
        "2002::/16",  # 6to4
        "3ffe::/16",
        "3fff::/20",
    )
)
NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address
LOCAL_SUFFIXES = (".localhost", ".local", ".internal")
LOCAL_NAMES = frozenset({"localhost", "local", "internal", "metadata", "instance-data"})

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
_PARTS = re.compile(r"(?P<scheme>https?)://(?P<authority>[^/?]*)(?P<rest>.*)", re.IGNORECASE)
_AUTHORITY = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\[\]:%\s]+)(?::(?P<port>[0-9]{1,5}))?")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


@dataclass(frozen=True)
class Target:
    """A URL that was read strictly: *host* is in lower case, ASCII, and an address only in its usual spelling."""

    url: URL
    host: str
    port: int
    address: IPv4Address | IPv6Address | None


def is_public(text: str) -> bool:
    """Return whether *text* is an address of the public internet that one host answers at."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    if isinstance(address, IPv4Address):
        return not any(address in network for network in CLOSED_IPV4)
    if address.scope_id is not None:
        return False
    inner = address.ipv4_mapped or (IPv4Address(int(address) & 0xFFFFFFFF) if address in NAT64 else None)
    if inner is not None:
        return is_public(str(inner))
    return address in GLOBAL_UNICAST and not any(address in network for network in CLOSED_IPV6)


@lru_cache(maxsize=256)
def read_url(text: str) -> Target:
    """Return the parts of *text*; raises NodeError ``http.url_invalid`` when two readers could read it differently."""
    if len(text) > URL_CHARS:
        raise _invalid(f"“URL” is longer than {URL_CHARS} characters.")
    if _CONTROL.search(text) or "\\" in text or text != text.strip():
        raise _invalid("“URL” contains control characters, a backslash, or blanks around it. Remove them.")
    if "#" in text:
        raise _invalid("“URL” contains “#”. Leave that part out, or write %23 if it is data.")
    parts = _PARTS.fullmatch(text)
    if parts is None:
        raise _invalid("“URL” must begin with http:// or https:// and a host.")
    if "@" in parts["authority"]:
        raise _invalid("“URL” contains a user name before “@”. Send a login as a header instead.")
    authority = _AUTHORITY.fullmatch(parts["authority"])
    if authority is None:
        raise _invalid("The host in “URL” is not written as a host can be.")
    return _target(parts["scheme"].lower(), authority["host"], authority["port"], parts["rest"])


def is_local_name(host: str) -> bool:
    """Return whether *host* is a name that only means something inside a machine or network."""
    return host in LOCAL_NAMES or host.endswith(LOCAL_SUFFIXES)


class OpenHosts:
    """The hosts that are open although the guard would refuse them: ``host`` with every port, or ``host:port``."""

    def __init__(self, entries: Collection[str]) -> None:
        self._open = frozenset(_entry(entry) for entry in entries)

    def opens(self, host: str, port: int) -> bool:
        return (host, port) in self._open or (host, None) in self._open


def _entry(text: str) -> tuple[str, int | None]:
    try:
        if text.count(":") > 1 and not text.startswith("["):
            return str(IPv6Address(text)), None
        authority = _AUTHORITY.fullmatch(text)
        if authority is None:
            raise ValueError(text)
        host, _ = _host(authority["host"])
        return host, int(authority["port"]) if authority["port"] else None
    except (ValueError, NodeError) as error:
        raise ValueError(f"{text!r} is no host or host:port") from error


def _target(scheme: str, written_host: str, written_port: str | None, rest: str) -> Target:
    host, address = _host(written_host)
    port = int(written_port) if written_port else DEFAULT_PORTS[scheme]
    if not 0 < port < 65536:
        raise _invalid("The port in “URL” must be between 1 and 65535.")
    shown = f"[{host}]" if isinstance(address, IPv6Address) else host
    try:
        url = URL(f"{scheme}://{shown}:{port}{rest}")
    except ValueError as error:
        raise _invalid("“URL” is not an address.") from error
    if (url.scheme, url.raw_host, url.port, url.raw_user) != (scheme, host, port, None):
        raise _invalid("“URL” can be read in two ways. Write it more plainly.")
    return Target(url, host, port, address)


def _host(written: str) -> tuple[str, IPv4Address | IPv6Address | None]:
    """Return the host in its one spelling, and as an address when it is one."""
    if written.startswith("["):
        try:
            address = IPv6Address(written[1:-1])
        except ValueError as error:
            raise _invalid("The IPv6 address in “URL” is wrong.") from error
        return address.compressed, address
    name = written.lower().removesuffix(".")
    if not name.isascii():
        name = _in_ascii(name)
    labels = name.split(".")
    if _NUMBER.fullmatch(labels[-1]):  # then every resolver reads the whole as an IPv4 address
        try:
            return name, IPv4Address(name)
        except ValueError as error:
            raise _invalid("The IPv4 address in “URL” must be four decimal numbers without leading zeros.") from error
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise _invalid("The host in “URL” is not written as a host can be.")
    return name, None


def _in_ascii(name: str) -> str:
    try:
        host = URL.build(scheme="http", host=name).raw_host
    except (ValueError, UnicodeError) as error:
        raise _invalid("The host in “URL” is not written as a host can be.") from error
    return (host or "").removesuffix(".")


def _invalid(message: str) -> NodeError:
    return NodeError(message, code="http.url_invalid", param="url")
