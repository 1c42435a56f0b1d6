"""Strict URLs and the table of closed addresses (no connection is made here)."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.spec import NodeError
from runtime.addresses import OpenHosts, is_local_name, is_public, read_url

CLOSED = [
    # loopback, private, unspecified
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    # link-local and the clouds' metadata
    "169.254.169.254",
    "169.254.170.2",
    "168.63.129.16",
    "100.100.100.200",
    "fd00:ec2::254",
    # shared, protocol, benchmark, documentation, relay, multicast, reserved, broadcast
    "100.64.0.1",
    "100.127.255.255",
    "192.0.0.1",
    "192.0.0.8",
    "192.0.0.170",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    # IPv6: loopback, unspecified, private, link-local with zone, site-local, multicast
    "::1",
    "::",
    "fc00::1",
    "fd12:3456:789a::1",
    "fe80::1",
    "fe80::1%eth0",
    "fe80::1%1",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
    # IPv4 inside IPv6: mapped, compatible, translated, NAT64, 6to4, Teredo
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:10.0.0.1",
    "::ffff:0.0.0.0",
    "::127.0.0.1",
    "::8.8.8.8",
    "::ffff:0:127.0.0.1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::10.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "64:ff9b:1::8.8.8.8",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "2002:808:808::1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    # the rest of IPv6
    "2001:db8::1",
    "2001:2::1",
    "2001:10::1",
    "3ffe::1",
    "3fff::1",
    "100::1",
    "4000::1",
    "5f00::1",
    "2606:4700::1111%eth0",
    # no addresses
    "",
    "localhost",
    "127.1",
    "0x7f.1",
    "2130706433",
    "0177.0.0.1",
]

OPEN = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.1",
    "93.184.216.34",
    "100.63.255.255",
    "100.128.0.1",
    "172.15.255.255",
    "172.32.0.1",
    "192.0.1.1",
    "198.17.255.255",
    "198.20.0.1",
    "223.255.255.255",
    "2606:4700:4700::1111",
    "2a00:1450:4001:81b::200e",
    "2001:4860:4860::8888",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
]


@pytest.mark.parametrize("address", CLOSED)
def test_address_is_closed(address: str):
    assert not is_public(address)


@pytest.mark.parametrize("address", OPEN)
def test_address_is_open(address: str):
    assert is_public(address)


@given(st.ip_addresses())
def test_no_address_is_open_that_python_calls_special(address: ipaddress.IPv4Address | ipaddress.IPv6Address):
    kinds = ("is_private", "is_multicast", "is_reserved", "is_loopback", "is_link_local", "is_site_local")

    is_wrapped = address in ipaddress.IPv6Network("::/8")  # reserved as such; what counts is the IPv4 address inside
    plain = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if is_wrapped else address
    special = [kind for kind in kinds if getattr(plain, kind, False)]

    assert not (special and is_public(str(address)))


REFUSED_URLS = [
    # other spellings of IPv4
    "http://127.1/",
    "http://127.0.1/",
    "http://0/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.0.0.1/",
    "http://0X7F.1/",
    "http://017700000001/",
    "http://0177.0.0.1/",
    "http://127.0.0.01/",
    "http://127.0.0.1.1/",
    "http://256.256.256.256/",
    "http://1.2.3.4.5/",
    "http://example.0x/",
    "http://example.1/",
    # IPv6
    "http://[::1",
    "http://::1/",
    "http://[::1%25eth0]/",
    "http://[fe80::1%eth0]/",
    "http://[::1]extra/",
    "http://[v1.x]/",
    "http://[]/",
    "http://[1:2:3]/",
    # two readings
    "http://user@example.com/",
    "http://user:secret@example.com/",
    "http://user@evil@example.com/",
    "http://@example.com/",
    "http://127.0.0.1\\@example.com/",
    "http:\\\\example.com/",
    "http://example.com\\.evil.test/",
    "http://example.com#@127.0.0.1/",
    "http://example.com/#part",
    "http://127.0.0.1%2f@example.com/",
    "http://127.0.0.1%00.example.com/",
    "http://exa%6dple.com/",
    # blanks and control characters
    "http://exam\tple.com/",
    "http://example.com/\r\nX-Injected: 1",
    "http://example.com/\nGET /",
    "http://example.com/\x00",
    "http://example.com/\x7f",
    "\nhttp://example.com/",
    " http://example.com/",
    "http://example.com/ ",
    "http://exam ple.com/",
    "http://example.com\u2028/",
    "http://\u202eexample.com/",
    "http://exa\u200bmple.com/",
    "http://example.com/\ud800",
    # schemes
    "file:///etc/passwd",
    "gopher://127.0.0.1:25/",
    "ftp://example.com/",
    "unix:/run/docker.sock",
    "http+unix://%2Frun%2Fdocker.sock/",
    "ws://example.com/",
    "javascript:alert(1)",
    "data:text/plain,x",
    "//example.com/",
    "example.com",
    "http:example.com",
    "http:/example.com",
    "httpx://example.com/",
    "",
    # hosts and ports
    "http://",
    "http:///path",
    "http://?q",
    "http://:80/",
    "http://./",
    "http://..example.com/",
    "http://example..com/",
    "http://-example.com/",
    "http://example.com-/",
    "http://" + "a" * 64 + ".example.com/",
    "http://" + "a." * 130 + "com/",
    "http://exam!ple.com/",
    "http://a,b/",
    "http://example.com:0/",
    "http://example.com:65536/",
    "http://example.com:999999/",
    "http://example.com:/",
    "http://example.com:80:80/",
    "http://example.com:８０/",
    "http://example.com:+80/",
    "http://example.com:-1/",
    "https://example.com/" + "a" * 8_000,
]


@pytest.mark.parametrize("url", REFUSED_URLS, ids=lambda url: ascii(url[:50]))
def test_url_is_refused(url: str):
    with pytest.raises(NodeError) as caught:
        read_url(url)

    assert (caught.value.code, caught.value.param) == ("http.url_invalid", "url")


@pytest.mark.parametrize(
    ("url", "host", "port", "sent"),
    [
        ("http://example.com", "example.com", 80, "http://example.com"),
        ("HTTPS://Example.COM./a?b=c", "example.com", 443, "https://example.com/a?b=c"),
        ("https://example.com:8443/a b", "example.com", 8443, "https://example.com:8443/a%20b"),
        ("http://bücher.example/", "xn--bcher-kva.example", 80, "http://xn--bcher-kva.example/"),
        ("http://my_host-1.example/%2Fa?q=%23", "my_host-1.example", 80, "http://my_host-1.example/%2Fa?q=%23"),
        ("http://93.184.216.34/", "93.184.216.34", 80, "http://93.184.216.34/"),
        ("http://[2606:4700::0:1111]/", "2606:4700::1111", 80, "http://[2606:4700::1111]/"),
        ("http://example.com?a=b@c:d/e", "example.com", 80, "http://example.com/?a=b@c:d/e"),
    ],
)
def test_url_has_one_reading(url: str, host: str, port: int, sent: str):
    target = read_url(url)

    assert (target.host, target.port, str(target.url)) == (host, port, sent)


@pytest.mark.parametrize(
    "url",
    [
        "http://①②⑦.⓪.⓪.①/",
        "http://１２７.０.０.１/",
        "http://127。0。0。1/",
        "http://[::ffff:7f00:1]/",
        "http://127.0.0.1./",
        "http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/",
        "http://LOCALHOST/",
    ],
)
def test_fancy_spelling_is_read_as_what_it_reaches(url: str):
    target = read_url(url)

    assert is_local_name(target.host) if target.address is None else not is_public(target.host)


@pytest.mark.parametrize(
    ("entry", "opened", "closed"),
    [
        ("sink.local:9000", [("sink.local", 9000)], [("sink.local", 9001), ("other.local", 9000)]),
        ("Sink.Local", [("sink.local", 80), ("sink.local", 9000)], [("x.sink.local", 80)]),
        ("127.0.0.1:9000", [("127.0.0.1", 9000)], [("127.0.0.1", 80), ("127.0.0.2", 9000)]),
        ("[::1]:9000", [("::1", 9000)], [("::1", 80)]),
        ("::1", [("::1", 80)], [("::2", 80)]),
        ("[0:0::1]", [("::1", 80)], []),
    ],
)
def test_entry_opens_exactly_one_host(entry: str, opened: list[tuple[str, int]], closed: list[tuple[str, int]]):
    hosts = OpenHosts([entry])

    assert all(hosts.opens(*place) for place in opened)
    assert not any(hosts.opens(*place) for place in closed)


@pytest.mark.parametrize("entry", ["*", "http://host", "10.0.0.0/8", "host:port", "host:", "*.local", "a b", "127.1"])
def test_entry_that_is_no_host_is_refused(entry: str):
    with pytest.raises(ValueError, match="no host or host:port"):
        OpenHosts([entry])
