"""Where a route job may go: to a path of the app, and nowhere else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backburner.errors import InvalidOption
from backburner.target import checked_method, checked_path, checked_query, checked_site, spelled

ELSEWHERE = [
    "", "reports", "http://evil.example/", "HTTPS://evil.example/x", "//evil.example/x", "///evil.example",
    "/\\evil.example", "\\\\evil.example", "/a\\b", "/%5cevil", "@evil.example/", "/@evil.example", "/a@b",
    ":80@evil.example", ".evil.example", "http://2130706433/", "http://0x7f.1/", "http://[::1]/", "//[::1]/",
    "//2130706433/", "http:/x", "file:///etc/passwd", "javascript:alert(1)",
    "/../etc", "/a/../b", "/..", "/./a", "/a/.", "/%2e%2e/a", "/%2E%2e", "/a%2f..", "/a%2Fb", "/%2f%2fevil",
    "/..%2f", "/%252e%252e/a", "/a%252fb", "/a//b", "/a\r\nHost: evil", "/a\nb", "/a%0d%0aSet-Cookie:x", "/a\0b",
    "/a%00", "/a b", "/a\tb", "/a?x=1", "/a#b", "/a%", "/a%2", "/a%zz", "/\u202ea", "/a\u0085b", "/a\ud800",
    "/" + "a" * 9000,
    "/a|b", "/a^b", "/{a}", '/"a"', "/<a>", "/[a]",
]  # fmt: skip


@pytest.mark.parametrize("path", ELSEWHERE)
def test_what_is_no_path_of_the_app_is_refused(path: str) -> None:
    with pytest.raises(InvalidOption) as caught:
        checked_path(path)
    assert (caught.value.option, caught.value.value) == ("path", path)


@pytest.mark.parametrize("path", [None, 7, b"/a", ["/a"]])
def test_only_text_is_a_path(path: object) -> None:
    with pytest.raises(InvalidOption, match="is no path of this app"):
        checked_path(path)


@pytest.mark.parametrize(
    ("path", "stored"),
    [
        ("/", "/"),
        ("/reports/build", "/reports/build"),
        ("/reports/build/", "/reports/build/"),
        ("/a..b/...", "/a..b/..."),
        ("/users/%40me", "/users/@me"),
        ("/caf\u00e9", "/caf%C3%A9"),
        ("/caf%c3%a9", "/caf%C3%A9"),
        ("/100%25", "/100%25"),
        ("/a%20b;v=1,2:3", "/a%20b;v=1,2:3"),
        ("/%7Euser", "/~user"),
    ],
)
def test_a_path_has_one_spelling(path: str, stored: str) -> None:
    assert checked_path(path) == stored


@given(st.text())
def test_whatever_comes_it_stays_a_path(text: str) -> None:
    try:
        path = checked_path(f"/{text}")
    except InvalidOption:
        return
    assert path.startswith("/")
    assert not path.startswith("//")
    assert path.isascii()
    assert path.isprintable()
    assert not set(path) & set("\\ ?#")


def test_both_sides_spell_alike() -> None:
    assert spelled("/caf\u00e9/@me") == checked_path("/caf%C3%A9/%40me")


@pytest.mark.parametrize("method", ["CONNECT", "TRACE", "OPTIONS", "", "get it", None, "POST\r\n"])
def test_other_methods_are_refused(method: object) -> None:
    with pytest.raises(InvalidOption, match="is no method of a route job"):
        checked_method(method)


def test_a_method_is_written_in_capitals() -> None:
    assert checked_method("patch") == "PATCH"


def test_a_query_is_made_of_fields() -> None:
    assert checked_query({"month": "2026-10", "id": [1, 2], "x": "a&b=\r\n"}) == (
        "month=2026-10&id=1&id=2&x=a%26b%3D%0D%0A"
    )
    assert checked_query([("a", "1"), ("a", "2")]) == "a=1&a=2"
    assert checked_query(None) == ""


@pytest.mark.parametrize("query", ["a=1", {"a": None}, {1: "a"}, [("a",)], {"a": "\ud800"}, {"a": "x" * 9000}, 7])
def test_a_query_that_is_none(query: object) -> None:
    with pytest.raises(InvalidOption) as caught:
        checked_query(query)  # type: ignore[arg-type]
    assert caught.value.option == "query"


@pytest.mark.parametrize(
    "address",
    [
        "", "shop.example.org", "//shop.example.org", "ftp://shop.example.org", "http://", "http:///x", None,
        "http://ada:secret@shop.example.org", "http://shop.example.org?x=1", "http://shop.example.org#x",
        "http://shop.example.org/a/../b", "http://shop.example.org\\@evil", "http://shop example", "http://a:99999",
        "http://a\r\nHost: b", "http://[::1",
    ],
)  # fmt: skip
def test_an_address_that_is_none(address: object) -> None:
    with pytest.raises(InvalidOption) as caught:
        checked_site("url", address)
    assert caught.value.option == "url"


@pytest.mark.parametrize(
    ("address", "name", "port", "whole"),
    [
        ("http://127.0.0.1:8000", "127.0.0.1", 8000, "http://127.0.0.1:8000"),
        ("https://shop.example.org/", "shop.example.org", 443, "https://shop.example.org"),
        ("http://[::1]:8080/shop/", "::1", 8080, "http://[::1]:8080/shop"),
    ],
)
def test_an_address_is_taken_apart(address: str, name: str, port: int, whole: str) -> None:
    site = checked_site("url", address)
    assert (site.name, site.port, site.address) == (name, port, whole)
