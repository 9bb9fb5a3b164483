"""Where people are taken when a job is done: to a path of the app's own site, and nowhere else."""

import json
from typing import Any

import pytest

from backburner.destination import STORED_AS, Destinations, checked_destination, checked_destinations, in_meta, of_meta
from backburner.errors import InvalidOption
from backburner.states import JobState

ELSEWHERE = [
    "", "thanks", "?done=1", "#done", "https://evil.example/", "//evil.example", "/\\evil.example", "\\\\evil.example",
    "/a\\b", "javascript:alert(1)", "/../x", "/%2e%2e/x", "/%2f%2fevil", "/a\r\nSet-Cookie: x=1", "/a?x=1\r\ny", "/a b",
    "/a?x=a b", '/a?x="b"', "/a?<b>", "/a?x=\\b", "/a?x=\ud800", "/a#\x00", "/" + "a" * 9000,
]  # fmt: skip


@pytest.mark.parametrize("value", [*ELSEWHERE, 7, b"/thanks", ["/thanks"]])
def test_what_leads_elsewhere_is_refused(value: Any) -> None:
    for option, given in (("then", (value, None)), ("failed", (None, value))):
        with pytest.raises(InvalidOption) as caught:
            checked_destinations(*given)
        assert (caught.value.option, caught.value.value) == (option, value)


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ("/", "/"),
        ("/thanks", "/thanks"),
        ("/orders?month=2026-10&sort=-total#top", "/orders?month=2026-10&sort=-total#top"),
        ("/?next=/a//b", "/?next=/a//b"),
        ("/danke/größe?q=ž%20a", "/danke/gr%C3%B6%C3%9Fe?q=%C5%BE%20a"),
    ],
)
def test_a_path_of_this_site_is_kept_as_an_address(value: str, stored: str) -> None:
    assert checked_destination("then", value) == stored
    assert checked_destination("then", stored) == stored


def test_success_leads_one_way_and_every_other_end_the_other() -> None:
    both = Destinations("/thanks", "/sorry")
    assert {state: both.of(state) for state in JobState if state.final} == {
        JobState.SUCCEEDED: "/thanks",
        **dict.fromkeys((JobState.FAILED, JobState.CANCELLED, JobState.INTERRUPTED, JobState.SKIPPED), "/sorry"),
    }
    assert {both.of(state) for state in JobState if not state.final} == {None}
    assert [bool(each) for each in (both, Destinations("/a"), Destinations(failed="/b"), Destinations())] == [
        True, True, True, False,
    ]  # fmt: skip


def test_they_stand_beside_what_the_app_keeps_there() -> None:
    meta = in_meta('{"order": 7}', Destinations("/thanks", None))
    assert json.loads(meta)["order"] == 7
    assert of_meta(meta) == Destinations("/thanks", None)
    assert of_meta(in_meta(None, Destinations(None, "/sorry"))) == Destinations(None, "/sorry")


@pytest.mark.parametrize("meta", [None, "", "{", "[]", "7", '{"order": 7}', json.dumps({STORED_AS: ["/a"]})])
def test_there_are_none(meta: str | None) -> None:
    assert of_meta(meta) == Destinations()


@pytest.mark.parametrize("value", [*ELSEWHERE, 7, ["/a"]])
def test_what_somebody_wrote_into_the_row_leads_nowhere_else(value: Any) -> None:
    assert of_meta(json.dumps({STORED_AS: {"then": value, "failed": "/ok"}})) == Destinations(None, "/ok")
