"""Arguments, results and notes on the page of a job, for those who may see them and for those who may not."""

import pytest

from backburner import Backburner
from backburner.web import Allow, web_app
from backburner.worker import Worker
from tests.web.shop import Caller, Shop, by_header

CANARY = "canary-4711"


@pytest.fixture
def called(jobs: Backburner, shop: Shop, worker: Worker) -> str:
    @jobs.task(name="shop.sign_in")
    def sign_in(user: str, password: str, options: dict[str, str]) -> dict[str, str]:
        return {"said": CANARY, "token": CANARY}

    job = sign_in.options(meta={"note": CANARY, "api_key": CANARY}).enqueue(
        CANARY, password=CANARY, options={"secret": CANARY, "plain": CANARY}
    )
    assert job.wait(30)
    return job.id


def page(shop: Shop, job: str, *allowed: str | Allow) -> str:
    app = web_app(shop.jobs, resolve_user=by_header, resolve_access=lambda request, user: allowed)
    answer = Caller(app, {"x-user": "other"}).get(f"/dashboard/jobs/{job}")
    assert answer.status_code == 200
    return answer.text


def test_a_reader_without_the_permission_gets_no_value(shop: Shop, called: str) -> None:
    text = page(shop, called, "jobs.view")
    assert CANARY not in text
    assert text.count('class="masked"') == 6


def test_secrets_by_their_name_are_shown_to_nobody(shop: Shop, called: str) -> None:
    text = page(shop, called, "jobs.view", "jobs.arguments")
    # user, options.plain, result.said and note; each long value would stand in the page twice.
    assert text.count(CANARY) == 4


def test_arguments_of_some_queues_only(shop: Shop, called: str) -> None:
    assert CANARY in page(shop, called, "jobs.view", Allow("jobs.arguments", queue="default"))
    assert CANARY not in page(shop, called, "jobs.view", Allow("jobs.arguments", queue="orders"))
