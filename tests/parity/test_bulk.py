"""Many jobs between a begin and an end."""

import pytest

from backburner import Backburner, JobState
from tests.parity.conftest import StartWorker
from tests.parity.running import ran_out, states


class Trouble(Exception):
    """Something in the block went wrong."""


def test_enq_13_bulk_stores_all_at_its_end(jobs_everywhere: Backburner, start_worker: StartWorker) -> None:
    jobs = jobs_everywhere

    @jobs.task
    def double(number: int) -> int:
        return 2 * number

    with jobs.bulk(size=100) as bulk:
        made = [double.enqueue(number) for number in range(250)]
        ids = [job.id for job in made]
        assert bulk.ids == ids
        assert jobs.find() == []
    ids += jobs.enqueue_many(double, [(number,) for number in range(250, 300)])
    ran_out(start_worker(burst=True))
    assert [jobs.get(job_id).result() for job_id in ids] == [2 * number for number in range(300)]
    assert set(states(made)) == {JobState.SUCCEEDED}


def test_enq_13_nothing_is_stored_when_the_block_raises(jobs_everywhere: Backburner) -> None:
    jobs = jobs_everywhere

    @jobs.task
    def double(number: int) -> int:
        return 2 * number

    def block() -> None:
        with jobs.bulk(size=1):
            for number in range(5):
                double.enqueue(number)
            raise Trouble

    with pytest.raises(Trouble):
        block()
    assert jobs.find() == []
