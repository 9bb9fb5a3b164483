"""A job that somebody's open transaction holds."""

import pytest
from sqlalchemy import create_engine, text

from backburner.store import patience
from tests.web.shop import Shop, as_user


@pytest.mark.parametrize(("method", "path"), [("POST", "/jobs/{}/cancel"), ("DELETE", "/jobs/{}")])
def test_a_job_that_an_open_transaction_holds_is_busy(
    shop: Shop, sqlite_url: str, monkeypatch: pytest.MonkeyPatch, method: str, path: str
) -> None:
    """It is the job that cannot be had, not the database that does not answer."""
    monkeypatch.setattr(patience, "WAIT", 0.1)
    job = shop.add.options(owner="lena", delay=3600).enqueue(1, 2)
    boss, engine = as_user(shop, "boss"), create_engine(sqlite_url)
    with engine.connect() as connection:
        connection.execute(text("UPDATE backburner_jobs SET title = 'mine'"))
        answer = boss.ask(method, path.format(job.id))
        connection.rollback()
    engine.dispose()
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:backburner:problem:busy")
    assert answer.headers["retry-after"] == "5"
    assert boss.ask(method, path.format(job.id)).status_code in (202, 204)
