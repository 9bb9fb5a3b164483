"""Grants: good for one request at one moment, and for nothing else."""

import base64
import json
from typing import Any

import msgspec
import pytest

from backburner.grant import Grant, GrantKeys, Refused, Request, _mac

OLD, NEW = "the first secret, long", "the second secret, long"
KEYS = GrantKeys([NEW])
REQUEST = Request("POST", "/reports/build", "month=10", "application/json")
GRANT = Grant(
    job="0190b0a0-0000-7000-8000-000000000001", attempt=2, nonce="n" * 32, at=1000.0, length=3, digest="d" * 64,
    user="7", epoch="e" * 64,
)  # fmt: skip
TOKEN = KEYS.sign(GRANT, REQUEST)


def test_what_was_signed_is_read() -> None:
    assert KEYS.read(TOKEN, REQUEST, 1000.0) == GRANT


@pytest.mark.parametrize(
    "other",
    [
        {"method": "PUT"},
        {"path": "/reports/build/"},
        {"path": "/reports/buil"},
        {"query": ""},
        {"query": "month=11"},
        {"content_type": "text/plain"},
        {"path": "/reports/buildmonth=10", "query": ""},
    ],
)
def test_it_is_good_for_its_request_alone(other: dict[str, str]) -> None:
    with pytest.raises(Refused, match="does not fit this request"):
        KEYS.read(TOKEN, REQUEST._replace(**other), 1000.0)


@pytest.mark.parametrize(
    "change",
    [
        {"user": "8"}, {"user": None}, {"epoch": "f" * 64}, {"job": GRANT.job[:-1] + "2"}, {"attempt": 1},
        {"nonce": "m" * 32}, {"at": 1060.0}, {"digest": "0" * 64}, {"length": 4}, {"cookies": True},
    ],
)  # fmt: skip
def test_nothing_in_it_can_be_changed(change: dict[str, Any]) -> None:
    version, key_id, _, mac = TOKEN.split(".")
    payload = base64.urlsafe_b64encode(msgspec.json.encode(msgspec.structs.replace(GRANT, **change))).decode()
    with pytest.raises(Refused, match="does not fit"):
        KEYS.read(f"{version}.{key_id}.{payload}.{mac}", REQUEST, 1000.0)


@pytest.mark.parametrize("moment", [1031.0, 969.0, 1060.0, 940.0])
def test_it_is_good_for_half_a_minute_on_both_sides(moment: float) -> None:
    with pytest.raises(Refused, match="not of this moment"):
        KEYS.read(TOKEN, REQUEST, moment)


@pytest.mark.parametrize("moment", [970.0, 1029.9])
def test_clocks_may_be_a_little_apart(moment: float) -> None:
    assert KEYS.read(TOKEN, REQUEST, moment) == GRANT


def test_keys_rotate() -> None:
    old = GrantKeys([OLD]).sign(GRANT, REQUEST)
    assert GrantKeys([NEW, OLD]).read(old, REQUEST, 1000.0) == GRANT
    with pytest.raises(Refused, match="another key"):
        GrantKeys([NEW]).read(old, REQUEST, 1000.0)
    assert GrantKeys([NEW]).read(GrantKeys([NEW, OLD]).sign(GRANT, REQUEST), REQUEST, 1000.0) == GRANT


def test_another_key_under_the_name_of_ours_does_not_fit() -> None:
    _, _, payload, mac = GrantKeys([OLD]).sign(GRANT, REQUEST).split(".")
    with pytest.raises(Refused, match="does not fit"):
        KEYS.read(f"1.{TOKEN.split('.')[1]}.{payload}.{mac}", REQUEST, 1000.0)


@pytest.mark.parametrize(
    "token",
    [
        "", "1", "1...", TOKEN + "x", "2" + TOKEN[1:], TOKEN.replace(".", " "), TOKEN.upper(), "x" * 5000,
        TOKEN + "." , "\u00e9" * 40, f"1.{TOKEN.split('.')[1]}.\u00e9.\u00e9", TOKEN.rpartition(".")[0] + ".",
    ],
)  # fmt: skip
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(Refused):
        KEYS.read(token, REQUEST, 1000.0)


@pytest.mark.parametrize("payload", [b"{}", b"[]", b"\xff", json.dumps({"job": 1}).encode()])
def test_what_is_signed_and_no_grant_is_refused_too(payload: bytes) -> None:
    key_id = TOKEN.split(".")[1]
    text = base64.urlsafe_b64encode(payload).decode()
    mac = _mac(KEYS._keys[key_id], text, REQUEST)
    with pytest.raises(Refused, match="cannot be read"):
        KEYS.read(f"1.{key_id}.{text}.{mac}", REQUEST, 1000.0)
