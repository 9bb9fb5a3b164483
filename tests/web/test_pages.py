"""What the operators' list says of a job in one line."""

import re
from html import unescape

import pytest

from backburner import Backburner, Retry, current_job
from backburner.worker import Worker
from tests.waiting import wait_until
from tests.web.shop import Shop, as_user

MESSAGE = re.compile(r'<td class="c-message[^>]*><span title="([^"]*)"')


def last_message(shop: Shop) -> str:
    """The last message of the one job there is."""
    [found] = MESSAGE.findall(as_user(shop, "boss").get("/dashboard/jobs").text)
    return unescape(found)


@pytest.mark.parametrize(("failed", "said"), [(0, "3 of 3 rows"), (2, "1 done, 2 failed"), (3, "0 done, 3 failed")])
def test_what_failed_in_a_job_that_succeeded(
    jobs: Backburner, shop: Shop, worker: Worker, failed: int, said: str
) -> None:
    @jobs.task(name="some")
    def some() -> None:
        job = current_job()
        assert job is not None
        job.expect(3, "rows")
        for number in range(3):
            if number < failed:
                job.item_failed(str(number), "It has an open order.")
            job.advance()

    assert some.enqueue().wait(30)
    assert last_message(shop) == said


def test_an_error_that_says_nothing_is_its_name(jobs: Backburner, shop: Shop, worker: Worker) -> None:
    @jobs.task(name="again")
    def again() -> None:
        raise Retry(after=3600)

    job = again.enqueue()
    wait_until(lambda: job.refresh().state == "retrying", "it was tried once")
    assert re.fullmatch(r"Retry\. Runs again in (59|60) min", last_message(shop))


def test_a_list_that_cannot_be_had_is_a_page_in_words(shop: Shop) -> None:
    answer = as_user(shop, "boss").get("/dashboard/jobs?limit=x")
    assert answer.status_code == 422
    assert "The parameter limit cannot be used" in answer.text
    assert "Use 1 to 200." in answer.text
