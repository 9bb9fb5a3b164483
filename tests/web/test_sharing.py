"""What `GET /jobs/shared` shows to whom: no more than owners have opened."""

from collections.abc import Sequence

import pytest

from backburner import Backburner
from backburner.job import JobFilter
from backburner.web.sharing import MOST_LISTS, Lists
from tests.web.shop import Shop, as_user


@pytest.fixture(autouse=True)
def always_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backburner.web.sharing.FRESH_SECONDS", -1.0)


def titles(shop: Shop, name: str, query: str = "") -> list[str]:
    answer = as_user(shop, name).get("/jobs/shared" + query)
    assert answer.status_code == 200, answer.text
    return [job["title"] for job in answer.json()["jobs"]]


def test_visibility_decides_and_nothing_else(shop: Shop) -> None:
    for level in ("owner", "users", "public"):
        shop.add.options(owner="lena", visibility=level, title=level).enqueue(1, 2)
    assert titles(shop, "") == ["public"]
    assert titles(shop, "other") == ["public", "users"]
    # Operators see others' jobs elsewhere: this list is what concerns everybody.
    assert titles(shop, "boss") == ["public", "users"]
    assert as_user(shop, "other").get("/jobs/shared").json()["jobs"][0]["actions"] == []
    assert "owner" not in as_user(shop, "other").get("/jobs/shared").json()["jobs"][0]


def test_only_what_is_not_done_and_has_the_tag(shop: Shop) -> None:
    tagged = shop.add.options(visibility="public", tags=["search"], title="tagged").enqueue(1, 2)
    shop.add.options(visibility="public", title="plain").enqueue(1, 2)
    shop.add.options(visibility="public", title="done").enqueue(1, 2).cancel()
    assert titles(shop, "") == ["plain", "tagged"]
    assert titles(shop, "", "?tag=search") == ["tagged"]
    assert titles(shop, "", "?limit=1") == ["plain"]
    tagged.cancel()
    assert titles(shop, "", "?tag=search") == []


@pytest.mark.parametrize("query", ["?limit=21", "?limit=0", "?owner=lena", "?state=failed", "?tag=%00"])
def test_parameters_are_checked(shop: Shop, query: str) -> None:
    assert as_user(shop, "").get("/jobs/shared" + query).status_code == 422


def test_a_list_is_read_once_for_all_who_ask_and_forgets(jobs: Backburner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backburner.web.sharing.FRESH_SECONDS", 1e9)
    read: list[JobFilter] = []

    def find(which: JobFilter, limit: int) -> Sequence[str]:
        read.append(which)
        return ["x"]

    lists = Lists(find)  # type: ignore[arg-type]
    assert [lists.ids(JobFilter(tag="a")) for _ in range(3)] == [("x",)] * 3
    assert len(read) == 1
    for n in range(2 * MOST_LISTS):
        lists.ids(JobFilter(tag=str(n)))
    assert len(lists._lists) <= MOST_LISTS
