"""S18: whatever is read from outside is read or refused, in bounded time: filters, times, tokens, grants.

Cron, filters, payloads and paths have fuzzers of their own in `tests/unit`. Here are texts that are made to be slow to
read, and a reader that is slow beyond all bounds is ended, and has failed.
"""

import base64
from contextlib import suppress
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from starlette.datastructures import Headers
from starlette.requests import Request as HttpRequest

from backburner.captured import read as read_context
from backburner.cron import CronTimes
from backburner.destination import Destinations, of_meta
from backburner.errors import BackburnerError, DecodeError, FilterError
from backburner.grant import Grant, GrantKeys, Refused, Request
from backburner.link import loaded
from backburner.web.bearers import Bearers
from backburner.web.login import Login
from backburner.web.passwords import hash_password
from backburner.web.problems import Problem
from backburner.web.tokens import Tokens
from backburner.where import Where
from tests.web.shop import SECRET

FEW = settings(
    max_examples=60, deadline=None, database=None, phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
MANY = settings(FEW, max_examples=5_000)

BOMBS = {
    "quotes": '"' * 999,
    "escapes": "\\" * 999,
    "escaped quotes": '"' + '\\"' * 490,
    "open quotes": ('"' + "a" * 8) * 110,
    "values": "a:" + "," * 990,
    "many values": "state:" + ",".join(["failed"] * 140),
    "colons": ":" * 999,
    "minuses": "-" * 999,
    "stars": "task:" + "*" * 190,
    "ages": "created:<" + "9" * 180 + "d",
    "years": "created:>" + "9" * 30 + "-01-01",
    "priorities": "priority:" + "-" * 180,
    "spaces": " " * 999 + "x",
    "long": "x" * 2_000_000,
    "words": "a " * 400,
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", BOMBS)
def test_s18_no_filter_is_slow_to_read(name: str) -> None:
    with suppress(FilterError):
        where = Where.of(BOMBS[name])
        assert str(Where.of(str(where))) == str(where)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "expression",
    [
        "0 0 31 2 *", "0 0 30 2 1", "*/1 " * 5, "0-59/1," * 40 + "0 * * * *", "99999999999999999999 * * * *",
        "*/0 * * * *", "0 0 29 2 1#5", "* * * * *" + " *" * 200, "1-" * 90, "x" * 1_000_000, "0 0 L * L", "\0" * 5,
        "5-1 * * * *", "* * * * 8", "0 0 * * 1#9", "-" * 200, "*/" * 100, "@" * 100, "0 0 0 0 0", "٣ * * * *",
    ],
)  # fmt: skip
def test_s18_no_cron_expression_is_slow_to_read_or_to_follow(expression: str) -> None:
    with suppress(BackburnerError):
        times = CronTimes(expression, ZoneInfo("Europe/Prague"))
        moment = datetime(2026, 1, 1, tzinfo=UTC)
        for _ in range(20):
            following = times.after(moment)
            if following is None:
                break
            assert following > moment
            moment = following


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "text", ["[" * 200_000, '{"a":' * 200_000, '"' + "\\u0041" * 200_000, "1" * 1_000_000, "1e999999"]
)
def test_s18_no_stored_json_is_too_deep(text: str) -> None:
    assert loaded(text) == ()
    assert of_meta(text) == Destinations()
    with pytest.raises(DecodeError):
        read_context(text)


# Tokens: what is not signed here is nothing, and no error.

PIECES = st.text(st.sampled_from("abcdefABCDEF0123456789._-=bb {}[]\"'\\\u00e9\u200b\0"), max_size=200)


@FEW
@given(text=PIECES | st.text(max_size=300) | st.binary(max_size=200).map(lambda data: base64.b64encode(data).decode()))
@example(text="." * 999)
@example(text="bb_" + "." * 500)
def test_s18_any_text_is_no_token(text: str) -> None:
    assert Tokens(SECRET).read(text) is None
    headers = Headers(raw=[(b"authorization", f"Bearer bb_{text}".encode("utf-8", "replace"))])
    request = HttpRequest({"type": "http", "headers": headers.raw})
    with pytest.raises(Problem):
        Bearers([SECRET], None).user(request)  # type: ignore[arg-type]
    login = Login([f"boss={HASH}"], [SECRET])
    cookie = f"backburner_session={text}".encode("utf-8", "replace")
    assert login.user(HttpRequest({"type": "http", "headers": [(b"cookie", cookie)]})) is None


HASH = hash_password("a good one")
KEYS = GrantKeys([SECRET])
ASKED = Request("POST", "/build", "month=10", "text/plain")
GRANT = Grant(job="j", attempt=1, nonce="n", at=1_000.0, length=0, digest="")
TOKEN = KEYS.sign(GRANT, ASKED)


@FEW
@given(at=st.integers(0, len(TOKEN) - 1), put=st.characters(max_codepoint=0x2FFF) | st.just(""))
def test_s18_a_grant_with_one_character_changed_is_refused(at: int, put: str) -> None:
    changed = TOKEN[:at] + put + TOKEN[at + 1 :]
    if changed == TOKEN:
        return
    with pytest.raises(Refused):
        KEYS.read(changed, ASKED, 1_000.0)


@FEW
@given(text=PIECES)
@example(text="...." * 999)
def test_s18_any_text_is_no_grant(text: str) -> None:
    version, key, _, mac = TOKEN.split(".")
    for token in (text, f"{version}.{key}.{text}.{mac}", f"{version}.{text}.x.{mac}"):
        with pytest.raises(Refused):
            KEYS.read(token, ASKED, 1_000.0)
