"""Signing in at the stand-alone server: passwords, sessions, and how often one may try."""

import base64
import hashlib
import re
import threading
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from backburner import Backburner
from backburner.errors import SettingsError
from backburner.web import web_app
from backburner.web.attempts import Attempts, Tried
from backburner.web.passwords import Passwords, hash_password
from tests.web.shop import SECRET, Caller

PASSWORD = "correct horse battery"
HASH = hash_password(PASSWORD)


class Browser:
    """Keeps its cookies, as a browser does."""

    def __init__(self, app: FastAPI) -> None:
        self.caller, self.cookies = Caller(app), dict[str, str]()

    def ask(self, method: str, path: str, **options: object) -> httpx.Response:
        headers = {"cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        if method == "POST":
            headers["origin"] = "http://localhost"
        answer = self.caller.ask(method, path, headers=headers, **options)
        for name, value in answer.cookies.items():
            self.cookies[name] = value
        return answer

    def sign_in(self, name: str, password: str, **more: str) -> httpx.Response:
        page = self.ask("GET", "/dashboard/login")
        [token] = re.findall(r'name="form" value="([^"]+)"', page.text)
        return self.ask(
            "POST", "/dashboard/login", data={"form": token, "name": name, "password": password, "next": ""} | more
        )


def app_of(url: str, operators: tuple[str, ...] = (f"boss={HASH}",), **settings: object) -> FastAPI:
    jobs = Backburner(url, secret=SECRET, operators=operators, **settings)
    jobs.store.ready()
    return web_app(jobs, login=True)


def test_only_who_signed_in_gets_in(sqlite_url: str) -> None:
    browser = Browser(app_of(sqlite_url))
    away = browser.ask("GET", "/dashboard/jobs?q=state:failed")
    assert away.headers["location"] == "/dashboard/login?next=%2Fdashboard%2Fjobs%3Fq%3Dstate%3Afailed"
    assert browser.ask("POST", "/dashboard/queues/default/pause").status_code == 403
    assert browser.ask("GET", "/jobs").status_code == 401
    for name, password in (("boss", "wrong"), ("boss", ""), ("nobody", PASSWORD), ("", ""), ("boss\x00", PASSWORD)):
        refused = browser.sign_in(name, password)
        assert refused.status_code == 403
        assert "Name and password do not fit." in refused.text
    inside = browser.sign_in("boss", PASSWORD, next="/dashboard/jobs?q=state:failed")
    assert inside.headers["location"] == "/dashboard/jobs?q=state:failed"
    cookie = next(one for one in inside.headers.get_list("set-cookie") if one.startswith("backburner_session"))
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Sign out" in browser.ask("GET", "/dashboard/jobs").text
    assert browser.ask("GET", "/jobs").status_code == 200
    out = browser.ask("POST", "/dashboard/logout")
    assert 'backburner_session=""' in out.headers["set-cookie"]


@pytest.mark.parametrize(
    "place", ["https://evil.example", "//evil.example", "/\\evil", "/dashboard/../../x", "/elsewhere", "javascript:x"]
)
def test_it_leads_to_our_own_pages_alone(sqlite_url: str, place: str) -> None:
    answer = Browser(app_of(sqlite_url)).sign_in("boss", PASSWORD, next=place)
    assert answer.headers["location"] == "/dashboard"


def test_a_form_of_somebody_else_is_refused(sqlite_url: str) -> None:
    app = app_of(sqlite_url)
    browser, other = Browser(app), Browser(app)
    other.ask("GET", "/dashboard/login")
    [token] = re.findall(r'name="form" value="([^"]+)"', other.ask("GET", "/dashboard/login").text)
    for given in ("", "x", token):
        answer = browser.ask("POST", "/dashboard/login", data={"form": given, "name": "boss", "password": PASSWORD})
        assert answer.status_code == 403, given
        assert "backburner_session" not in answer.headers.get("set-cookie", "")


def test_behind_https_the_cookie_is_secure(sqlite_url: str) -> None:
    browser = Browser(app_of(sqlite_url))
    [token] = re.findall(r'name="form" value="([^"]+)"', browser.ask("GET", "/dashboard/login").text)
    answer = browser.caller.ask(
        "POST",
        "/dashboard/login",
        data={"form": token, "name": "boss", "password": PASSWORD},
        headers={"cookie": f"backburner_form={token}", "origin": "https://localhost"},
    )
    assert "Secure" in answer.headers["set-cookie"]


def test_too_many_attempts_wait(sqlite_url: str) -> None:
    browser = Browser(app_of(sqlite_url))
    answers = [browser.sign_in("boss", "guess").status_code for _ in range(11)]
    assert answers == [403] * 10 + [429]
    late = browser.sign_in("boss", PASSWORD)
    assert late.status_code == 429
    assert 0 < int(late.headers["retry-after"]) <= 900


def test_who_guesses_locks_out_nobody_else_at_the_same_address(sqlite_url: str) -> None:
    """All browsers of this test have one address, as behind a proxy that nobody was told of."""
    app = app_of(sqlite_url, (f"boss={HASH}", f"ada={HASH}"))
    at_home, guesser = Browser(app), Browser(app)
    assert at_home.sign_in("boss", PASSWORD).status_code == 303
    del at_home.cookies["backburner_session"]
    for _ in range(10):
        guesser.sign_in("boss", "guess")
    assert guesser.sign_in("boss", PASSWORD).status_code == 429
    assert Browser(app).sign_in("ada", PASSWORD).status_code == 303
    assert at_home.sign_in("boss", PASSWORD).status_code == 303, "it has signed in here before"
    # Its cookie is for that name, and is signed.
    for cookie in (at_home.cookies["backburner_browser"][:-2] + "xx", "x", ""):
        forged = Browser(app)
        forged.cookies["backburner_browser"] = cookie
        assert forged.sign_in("boss", PASSWORD).status_code == 429
    other = Browser(app)
    other.cookies["backburner_browser"] = at_home.cookies["backburner_browser"]
    assert [other.sign_in("ada", "guess").status_code for _ in range(11)] == [403] * 10 + [429]


def test_attempts_are_forgotten_in_time() -> None:
    now = [0.0]
    attempts = Attempts(few=2, many=4, seconds=60, clock=lambda: now[0])

    def begin(name: str, address: str = "x", browser: str | None = None) -> int:
        return attempts.begin(Tried.of(name, address, browser))

    assert [begin("a"), begin("a"), begin("a")] == [0, 0, 60]
    now[0] = 10
    assert [begin("b"), begin("c"), begin("d"), begin("a", "y")] == [0, 0, 50, 0]
    assert [begin("a", "z"), begin("a", "zz"), begin("a", "z", "known")] == [0, 50, 0]
    now[0] = 61
    assert begin("a") == 0
    attempts.passed(Tried.of("a", "x", None))
    assert [begin("a"), begin("a"), begin("a")] == [0, 0, 60]


def test_an_attempt_that_passed_counts_for_nobody() -> None:
    attempts = Attempts(few=2, many=3, clock=lambda: 0.0)
    for _ in range(9):
        tried = Tried.of("a", "x", None)
        assert attempts.begin(tried) == 0
        attempts.passed(tried)


def test_a_network_of_ipv6_is_one_place() -> None:
    assert Tried.of("a", "2001:db8::1", None) == Tried.of("a", "2001:db8::ffff:2", None)
    assert Tried.of("a", "2001:db8::1", None) != Tried.of("a", "2001:db8:0:1::1", None)
    assert Tried.of("a", "10.0.0.1", None) != Tried.of("a", "10.0.0.2", None)


def test_attempts_at_the_same_moment_are_counted_one_by_one() -> None:
    attempts, taken = Attempts(few=5, clock=lambda: 0.0), list[int]()
    threads = [
        threading.Thread(target=lambda: taken.append(attempts.begin(Tried.of("a", "x", None)))) for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert taken.count(0) == 5


def test_a_new_password_ends_the_sessions_of_the_old_one(sqlite_url: str) -> None:
    browser = Browser(app_of(sqlite_url))
    browser.sign_in("boss", PASSWORD)
    for operators, inside in (
        ((f"boss={HASH}",), True),
        ((f"boss={hash_password('new one')}",), False),
        ((f"x={HASH}",), False),
    ):
        later = Browser(app_of(sqlite_url, operators))
        later.cookies = dict(browser.cookies)
        assert (later.ask("GET", "/dashboard/jobs").status_code == 200) is inside
    forged = Browser(app_of(sqlite_url))
    forged.cookies = {"backburner_session": browser.cookies["backburner_session"][:-2] + "xx"}
    assert forged.ask("GET", "/dashboard/jobs").status_code == 303


def test_hashes_are_read_carefully() -> None:
    known = Passwords([f"boss={HASH}"])
    assert known.good("boss", PASSWORD)
    assert not known.good("boss", PASSWORD + " ")
    assert hash_password(PASSWORD) != HASH, "each has a salt of its own"
    for wrong in (
        "boss",
        "boss=",
        "=x",
        f"={HASH}",
        "boss=scrypt$3$8$1$YWFhYWFhYWE$YQ",
        "boss=scrypt$99999999999$8$1$a$b",
        "boss=md5$x",
    ):
        with pytest.raises(SettingsError, match="operators") as refused:
            Passwords([wrong])
        assert HASH not in str(refused.value)


def costing(n: int, r: int, password: str) -> str:
    """A hash as another version, or another tool, may have made it."""
    salt = b"0123456789abcdef"
    made = hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=1, maxmem=256 * n * r, dklen=32)
    salt_text, made_text = (base64.urlsafe_b64encode(one).decode().rstrip("=") for one in (salt, made))
    return f"scrypt${n}${r}$1${salt_text}${made_text}"


@pytest.mark.parametrize("costs", [((2**11, 8),), ((2**11, 8), (2**10, 16), (2**11, 8)), ()])
def test_a_guess_costs_the_same_for_every_name(costs: tuple[tuple[int, int], ...], monkeypatch: Any) -> None:
    known = Passwords([f"name{number}={costing(n, r, f'p{number}')}" for number, (n, r) in enumerate(costs)])
    paid: list[tuple[int, int, int]] = []
    scrypt = hashlib.scrypt

    def counted(password: bytes, **given: Any) -> bytes:
        paid.append((given["n"], given["r"], given["p"]))
        return scrypt(password, **given)

    monkeypatch.setattr(hashlib, "scrypt", counted)
    bills = []
    for name in ("unknown", *(f"name{number}" for number in range(len(costs)))):
        for number in range(max(len(costs), 1)):
            assert known.good(name, f"p{number}") is (name == f"name{number}")
            bills.append(paid[:])
            paid.clear()
    assert bills[0] != []
    assert bills == [bills[0]] * len(bills)


def test_no_login_without_a_secret(sqlite_url: str) -> None:
    with pytest.raises(SettingsError, match="secret"):
        Backburner(sqlite_url, operators=(f"boss={HASH}",))
    assert "scrypt" not in repr(Backburner(sqlite_url, secret=SECRET, operators=(f"boss={HASH}",)).settings)
