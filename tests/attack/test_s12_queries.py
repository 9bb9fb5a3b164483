"""S12: no parameter of any address is read as SQL: the answer is a list or a refusal, and the rows stay as they are.

The store has the same for each of its own doors, on each database: `tests/store/test_search.py`.
"""

from urllib.parse import quote

import pytest
from sqlalchemy import event

from tests.attack.estate import furnish
from tests.web.shop import Shop, as_user

ENDS = "'\"`) OR 1=1; DROP TABLE backburner_jobs; -- %' OR '1'='1 \\ /* :x %(x)s ? {}"
"""Ends whatever a text may stand in, on any of the databases."""
CORPUS = (
    "'", '"', "`", "' OR '1'='1", "x'; DROP TABLE backburner_jobs; --", '") OR 1=1 --', "' UNION SELECT args --",
    "%' OR 1=1 --", "\\' OR 1=1 --", "%", "_", "?", ":x", "%(x)s", "{}", "1;SELECT 4711", "/*", "\ufeff'", "0x27",
    "id", "created_at DESC", "(SELECT 4711)",
)  # fmt: skip
LISTS = {
    "/jobs": "state done mine task queue tag identifier owner created_after created_before before limit",
    "/jobs/shared": "tag limit",
    "/mine": "show before",
    "/dashboard/jobs": "q add before limit columns column",
    "/dashboard/jobs/complete": "text",
    "/dashboard/jobs/many?verb=delete": "id q",
    "/dashboard/jobs/many?verb=delete&all=1": "q",
    "/dashboard/audit": "by action kind target before",
    "/dashboard/failures": "text task open hours",
    "/dashboard/settings": "preview value",
}
"""Lists, and the parameters that they know."""


@pytest.mark.parametrize("corpus", [(ENDS, "%"), pytest.param(CORPUS, marks=pytest.mark.long)], ids=["short", "long"])
def test_s12_no_parameter_of_an_address_is_sql(shop: Shop, corpus: tuple[str, ...]) -> None:
    estate, boss, said = furnish(shop.jobs, "x", "lena"), as_user(shop, "boss"), list[str]()
    before, listed = estate.rows(), boss.get("/jobs").json()["count"]

    def hear(connection: object, cursor: object, statement: str, *more: object) -> None:
        said.append(statement)

    event.listen(shop.jobs.store.engine, "before_cursor_execute", hear)
    for path, names in LISTS.items():
        for name in names.split():
            for text in corpus:
                answer = boss.get(f"{path}{'&' if '?' in path else '?'}{name}={quote(text, safe='')}")
                assert answer.status_code < 500, (path, name, text, answer.text[:300])
                if path == "/jobs" and answer.status_code == 200:
                    assert answer.json()["count"] < listed, (name, text, "it found what it does not name")
    event.remove(shop.jobs.store.engine, "before_cursor_execute", hear)
    assert estate.rows() == before
    assert said
    assert [one for one in said if any(text in one for text in corpus if len(text) > 8 and " " in text)] == []
