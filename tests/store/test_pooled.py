"""Behind a pooler: nothing that belongs to a session is left behind by the hot statements."""

import pytest

from backburner.settings import Settings
from backburner.store.lane import CLAIM
from backburner.store.store import Store
from tests.store.scene import HandClock, Scene


@pytest.mark.parametrize(("pooled", "kept"), [(False, True), (True, False)])
def test_statements_are_prepared_only_on_sessions_of_our_own(postgresql_url: str, pooled: bool, kept: bool) -> None:
    store = Store(postgresql_url, auto_migrate=True, pooled=pooled)
    scene, lane = Scene(store, HandClock()), store.lane(CLAIM)
    worker = scene.worker()
    for _ in range(10):
        lane.run(lambda c: c.execute("SELECT %s::text", (worker,)).fetchone(), atomic=False)
    prepared = lane.run(lambda c: c.execute("SELECT count(*) FROM pg_prepared_statements").fetchone()[0])
    store.close()
    assert (prepared > 0) is kept


def test_the_setting_reaches_the_store(sqlite_url: str) -> None:
    assert Store.of(Settings(url=sqlite_url, pooled=True)).pooled
    assert not Store.of(Settings(url=sqlite_url)).pooled
