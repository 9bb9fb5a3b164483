"""Writes from elsewhere, headers, the development rule, and a server that does not start open."""

import pytest
from fastapi import FastAPI

from backburner.control import Control
from backburner.errors import SettingsError
from backburner.link import Link
from backburner.progress import Progress
from backburner.web import serve, web_app
from backburner.web.downloads import disposition
from backburner.web.links import Links, ShownLink, is_safe
from backburner.web.safety import HEADERS
from tests.web.shop import Caller, Shop, by_header

COOKIE = {"cookie": "session=1"}


@pytest.mark.parametrize(
    ("headers", "accepted"),
    [
        ({"sec-fetch-site": "same-origin"} | COOKIE, True),
        ({"sec-fetch-site": "none"} | COOKIE, True),
        ({"sec-fetch-site": "same-origin", "origin": "http://localhost"} | COOKIE, True),
        ({"origin": "http://localhost"} | COOKIE, True),
        ({}, True),  # a program, not a browser
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "same-site"} | COOKIE, False),
        ({"sec-fetch-site": "cross-site", "origin": "http://localhost"}, False),
        ({"sec-fetch-site": "same-origin", "origin": "http://evil.example"}, False),
        ({"origin": "http://evil.example"}, False),
        ({"origin": "http://localhost.evil.example"}, False),
        ({"origin": "http://localhost:1234"}, False),
        ({"origin": "null"}, False),
        ({"origin": "file://localhost"}, False),
        ({"origin": "http://[broken"}, False),
        (COOKIE, False),
    ],
)
@pytest.mark.parametrize("path", ["/jobs/{}/cancel", "/dashboard/jobs/{}/cancel"])
def test_writes_come_from_our_own_pages(shop: Shop, headers: dict[str, str], accepted: bool, path: str) -> None:
    job = shop.add.enqueue(1, 2)
    caller = Caller(web_app(shop.jobs, resolve_user=by_header), {"x-user": "boss"} | headers)
    answer = caller.post(path.format(job.id))
    assert (answer.status_code in (202, 303)) is accepted, answer.text
    assert (job.refresh().state == "cancelled") is accepted


@pytest.mark.parametrize("path", ["/jobs/{}/cancel", "/jobs/{}/retry", "/dashboard/jobs/{}/delete"])
def test_reading_changes_nothing(shop: Shop, path: str) -> None:
    job = shop.add.enqueue(1, 2)
    answer = Caller(web_app(shop.jobs, resolve_user=by_header), {"x-user": "boss"}).get(path.format(job.id))
    assert answer.status_code == 405
    assert job.refresh().state == "queued"


@pytest.mark.parametrize(
    "path", ["/jobs", "/livez", "/jobs/none", "/dashboard/jobs", "/static/backburner.js", "/nowhere"]
)
def test_every_answer_has_the_headers(shop: Shop, path: str) -> None:
    answer = Caller(web_app(shop.jobs, development=True)).get(path)
    for name, value in HEADERS.items():
        assert answer.headers[name] == value, name
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'self'"
    assert "unsafe" not in answer.headers["content-security-policy"]


@pytest.mark.parametrize("path", ["/jobs", "/dashboard/jobs"])
def test_a_mistake_of_the_server_is_answered_with_the_headers(
    shop: Shop, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("page", "search"):
        monkeypatch.setattr(Control, name, lambda *_: 1 / 0)
    answer = Caller(web_app(shop.jobs, development=True)).get(path)
    assert answer.status_code == 500
    assert "ZeroDivision" not in answer.text
    for name, value in (HEADERS | {"cache-control": "no-store"}).items():
        assert answer.headers[name] == value, name


@pytest.mark.parametrize(
    ("client", "headers", "accepted"),
    [
        ("127.0.0.1", {}, True),
        ("::1", {"host": "[::1]:8000"}, True),
        ("127.0.0.1", {"host": "localhost:8000"}, True),
        ("127.0.0.1", {"host": "app.localhost"}, True),
        ("10.0.0.7", {}, False),
        ("10.0.0.7", {"x-forwarded-for": "127.0.0.1"}, False),
        ("127.0.0.1", {"x-forwarded-for": "127.0.0.1"}, False),
        ("127.0.0.1", {"forwarded": "for=10.0.0.7"}, False),
        ("127.0.0.1", {"host": "evil.example"}, False),
        ("127.0.0.1", {"host": "localhost.evil.example"}, False),
        ("127.0.0.1", {"host": "[oops"}, False),
        ("testclient", {}, False),
    ],
)
def test_the_development_rule_is_for_this_machine(
    shop: Shop, client: str, headers: dict[str, str], accepted: bool
) -> None:
    answer = Caller(web_app(shop.jobs, development=True), headers, client).get("/dashboard/jobs")
    assert answer.status_code == (200 if accepted else 403)
    assert ("The development rule is on" in answer.text) is accepted


def test_pages_do_not_speak_of_development_otherwise(shop: Shop) -> None:
    text = Caller(web_app(shop.jobs, resolve_user=by_header), {"x-user": "boss"}).get("/dashboard/jobs").text
    assert "evelopment" not in text


def test_no_server_without_a_rule(shop: Shop) -> None:
    for host, development in (("127.0.0.1", False), ("0.0.0.0", True), ("192.168.1.5", True), ("example.org", True)):
        with pytest.raises(SettingsError):
            serve(shop.jobs, host, 1, development=development)


def test_pages_are_mounted_anywhere(shop: Shop) -> None:
    job = shop.add.enqueue(1, 2)
    host = FastAPI()
    host.mount("/deep/down", web_app(shop.jobs, development=True))
    caller = Caller(host)
    assert caller.get("/deep/down/").headers["location"] == "/deep/down/dashboard/overview"
    assert caller.get(f"/deep/down/jobs/{job.id}").json()["href"] == f"/deep/down/jobs/{job.id}"
    page = caller.get(f"/deep/down/dashboard/jobs/{job.id}").text
    assert 'src="/deep/down/static/dashboard.js' in page
    assert caller.get("/deep/down/static/backburner.js").status_code == 200
    static = caller.get("/deep/down/static/backburner.js")
    assert static.headers["cache-control"] == "no-cache"
    again = caller.get("/deep/down/static/backburner.js", headers={"if-none-match": static.headers["etag"]})
    assert again.status_code == 304
    assert caller.get("/deep/down/static/../app.py").status_code == 404
    assert caller.get("/deep/down/static/%2e%2e/app.py").status_code == 404


@pytest.mark.parametrize(
    ("href", "safe"),
    [
        *((href, True) for href in ("/files/1", "?page=2", "#top", "https://example.org/x", "HTTP://example.org")),
        *((href, False) for href in ("javascript:alert(1)", "JaVaScRiPt:alert(1)", "java\nscript:x", "vbscript:x")),
        *((href, False) for href in ("//evil.example", "/\\evil.example", "\\\\evil.example", "https:/\\evil.example")),
        *((href, False) for href in (" javascript:alert(1)", "data:text/html,x", "", "/a\r\nSet-Cookie: x=1")),
    ],
)  # fmt: skip
def test_links_lead_to_pages(href: str, safe: bool) -> None:
    assert is_safe(href) is safe
    # Whatever was stored: what is not safe is not handed out.
    assert Links(None).of(Progress(links=(Link("x", href),))) == ((ShownLink("x", href),) if safe else ())


@pytest.mark.parametrize("name", ['a"b', "a\r\nb", "../../etc/passwd", "a;b", "\u202egpj.exe", "%0d%0a", "é"])
def test_file_names_stay_in_their_header(name: str) -> None:
    header = disposition(name)
    assert header.startswith("attachment; filename=")
    assert header.isascii()
    assert "\r" not in header
    assert "\n" not in header
    assert header.count('"') == 2
