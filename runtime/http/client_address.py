"""Where a request comes from, for the throttles: the peer, or who a trusted proxy says that it speaks for."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

from starlette.types import Scope

from runtime.settings import Settings

HEADER = b"x-forwarded-for"
Network: TypeAlias = IPv4Network | IPv6Network


def client_address(scope: Scope, settings: Settings) -> str:
    """Return the address of whoever sent the request, empty where it has none.

    ``X-Forwarded-For`` counts only as far back as every hop is one of ``PULSEWIRE_TRUSTED_PROXIES``.
    """
    client = scope.get("client")
    peer = str(client[0]) if client else ""
    if not settings.trusted_proxies:
        return peer
    trusted = _networks(settings.trusted_proxies)
    found = peer
    for hop in reversed(_hops(scope)):
        if not _is_among(found, trusted):
            break
        found = hop
    return found


def _hops(scope: Scope) -> list[str]:
    values = [value.decode("latin-1") for name, value in scope["headers"] if name == HEADER]
    return [_without_port(hop) for each in ",".join(values).split(",") if (hop := each.strip())]


def _without_port(hop: str) -> str:
    """Return the address in *hop*; some proxies add the port, which is another one for each connection."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop


def _is_among(address: str, networks: Iterable[Network]) -> bool:
    try:
        found: IPv4Address | IPv6Address = ip_address(address)
    except ValueError:
        return False
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return any(found in network for network in networks)


@cache
def _networks(texts: frozenset[str]) -> tuple[Network, ...]:
    return tuple(ip_network(text, strict=False) for text in texts)
