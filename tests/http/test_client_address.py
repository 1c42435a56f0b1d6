"""Whose address counts for the throttles: the peer's, unless a trusted proxy speaks for somebody."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from runtime.http.client_address import client_address
from runtime.settings import Settings

PROXIES = "127.0.0.1, 10.0.0.0/8, ::1"


def address(peer: str | None, *forwarded: str, proxies: str = PROXIES) -> str:
    headers = [(b"x-forwarded-for", value.encode()) for value in forwarded]
    scope = {"type": "http", "client": peer and (peer, 1234), "headers": headers}
    return client_address(scope, Settings(trusted_proxies=proxies))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("203.0.113.1", [], "203.0.113.1"),
        ("203.0.113.1", ["198.51.100.7"], "203.0.113.1"),
        ("127.0.0.1", [], "127.0.0.1"),
        ("127.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("127.0.0.1", ["1.1.1.1, 198.51.100.7"], "198.51.100.7"),
        ("127.0.0.1", ["1.1.1.1, 198.51.100.7, 10.1.2.3"], "198.51.100.7"),
        ("127.0.0.1", ["1.1.1.1", "198.51.100.7"], "198.51.100.7"),
        ("127.0.0.1", ["10.1.2.3"], "10.1.2.3"),
        ("127.0.0.1", ["198.51.100.7, nonsense"], "nonsense"),
        ("::ffff:127.0.0.1", ["2001:db8::1"], "2001:db8::1"),
        ("::1", [" , 198.51.100.7 , "], "198.51.100.7"),
        ("127.0.0.1", ["198.51.100.7:49152"], "198.51.100.7"),
        ("127.0.0.1", ["1.1.1.1, [2001:db8::1]:49152, 10.1.2.3:80"], "2001:db8::1"),
        ("127.0.0.1", ["[2001:db8::1]"], "2001:db8::1"),
        (None, ["198.51.100.7"], ""),
    ],
)
def test_proxies_are_believed_as_far_back_as_they_are_trusted(peer: str | None, forwarded: list[str], expected: str):
    assert address(peer, *forwarded) == expected


def test_without_trusted_proxies_the_header_is_nobodys_word():
    assert address("127.0.0.1", "198.51.100.7", proxies="") == "127.0.0.1"


def test_proxy_that_is_no_address_is_refused_at_the_start():
    with pytest.raises(ValidationError):
        Settings(trusted_proxies="proxy.example.com")  # type: ignore[arg-type]
