from __future__ import annotations

import pytest

from editor.web_snippet import web_snippet


@pytest.mark.parametrize(
    ("address", "domain", "path"),
    [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080", "/auth"),
        ("https://flows.example.com/", "https://flows.example.com", "/auth"),
        ("https://example.com/pulsewire", "https://example.com", "/pulsewire/auth"),
    ],
)
def test_the_client_is_told_where_auth_is(address: str, domain: str, path: str):
    snippet = web_snippet(address, "Shop")

    assert f'apiDomain: "{domain}"' in snippet
    assert f'apiBasePath: "{path}"' in snippet


def test_a_name_stays_inside_its_quotes():
    assert r'appName: "a\"}); alert(1); ({\""' in web_snippet("http://x", 'a"}); alert(1); ({"')
