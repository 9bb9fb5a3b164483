"""What may be called, with what, in which queue, and for how long."""

import sys
import threading
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from uuid import UUID

import pytest

from backburner import Backburner, JobState, current_job
from backburner.discovery import discover
from backburner.errors import DuplicateTask, InvalidArgument, InvalidTask, UnknownTask
from tests.parity.conftest import StartWorker
from tests.parity.running import done, in_state
from tests.waiting import wait_until

SECRET = "a secret of some length"


class Colour(Enum):
    RED = "red"


@dataclass
class Line:
    price: Decimal
    colours: set[Colour]


class Shape:
    """A class that JSON has no form for."""

    def __init__(self, sides: int) -> None:
        self.sides = sides


@pytest.mark.parametrize("name", ["os.system", "__import__", "Known", "known ", "кnown"])
def test_enq_03_only_registered_names_run(jobs: Backburner, start_worker: StartWorker, name: str) -> None:
    ran: list[str] = []
    jobs.task(name="known")(lambda: ran.append("known"))
    with pytest.raises(UnknownTask):
        jobs.registry.require(name)
    # Another app knows that name; the worker here does not, and holds the job where people see it.
    other = Backburner(jobs.settings.url)
    job = other.task(name=name)(lambda: None).enqueue()
    other.close()
    start_worker()
    found = in_state(jobs.get(job.id), JobState.BLOCKED)
    assert found.blocked_on == "unknown task"
    assert jobs.control.why_not_running(found) == [f"Task name {name} is unknown to all live workers."]
    assert ran == []


PLUG = """
def register(jobs):
    @jobs.task(name="plug.greet")
    def greet(name: str) -> str:
        return f"Hello {name}"

nothing = None
"""


def installed(folder: Path, **entries: str) -> None:
    """A package called plug as pip would leave it in `folder`, with these entry points."""
    (folder / "plug.py").write_text(PLUG)
    (folder / "plug-1.0.dist-info").mkdir(exist_ok=True)
    (folder / "plug-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: plug\nVersion: 1.0\n")
    lines = "".join(f"{name} = {value}\n" for name, value in entries.items())
    (folder / "plug-1.0.dist-info" / "entry_points.txt").write_text(f"[backburner.tasks]\n{lines}")


def test_enq_03_tasks_of_installed_packages_by_entry_point(
    jobs: Backburner, start_worker: StartWorker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(tmp_path, plug="plug:register")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "plug", raising=False)
    assert jobs.registry.get("plug.greet") is None
    assert discover(jobs) == ("plug.greet",)
    job = jobs.registry.require("plug.greet").enqueue("Ada")
    start_worker()
    assert done(job).result() == "Hello Ada"
    with pytest.raises(DuplicateTask, match=r"plug\.greet"):
        discover(jobs)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("gone:register", "cannot be loaded: .*gone"),
        ("plug:absent", "cannot be loaded"),
        ("plug:nothing", "no function"),
    ],
)
def test_enq_03_an_entry_point_that_leads_nowhere_is_refused(
    jobs: Backburner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, problem: str
) -> None:
    installed(tmp_path, first="plug:register", second=value)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "plug", raising=False)
    with pytest.raises(InvalidTask, match=f"'second'.*{value}.*{problem}.*package plug"):
        discover(jobs)
    assert jobs.registry.names() == ()


def test_enq_04_arguments_of_any_usual_type(jobs: Backburner, start_worker: StartWorker) -> None:
    seen: list[object] = []

    @jobs.task
    def take(
        line: Line,
        at: datetime,
        day: date,
        wait: timedelta,
        key: UUID,
        data: bytes,
        rest: dict[str, list[tuple[int, str]]],
    ) -> None:
        seen.extend([line, at, day, wait, key, data, rest])

    given = (
        Line(Decimal("12.50"), {Colour.RED}), datetime(2026, 11, 21, tzinfo=UTC), date(2026, 11, 21),
        timedelta(minutes=3), UUID(int=7), b"\x00\xff", {"a": [(1, "one")]},
    )  # fmt: skip
    job = take.enqueue(*given)
    start_worker()
    assert done(job).state is JobState.SUCCEEDED
    assert seen == list(given)


def test_enq_04_pickle_is_signed_listed_and_off_unless_asked_for(sqlite_url: str, start_worker: StartWorker) -> None:
    jobs = Backburner(sqlite_url, secret=SECRET)

    @jobs.task(codec="pickle", pickle_types=[Shape])
    def draw(shape: Shape) -> int:
        return shape.sides

    job = draw.enqueue(Shape(6))
    worker = start_worker(jobs)
    assert (job.codec, done(job).result()) == ("pickle", 6)
    worker.stop(2.0)
    jobs.close()


def test_enq_05_both_forms_side_by_side_and_edited_by_hand(sqlite_url: str, start_worker: StartWorker) -> None:
    jobs = Backburner(sqlite_url, secret=SECRET, signed=True)

    def draw(sides: int = 3, shape: Shape | None = None) -> int:
        return shape.sides if shape is not None else sides

    as_json = jobs.task(name="as_json")(lambda sides: sides).enqueue(4)
    pickled = jobs.task(name="draw", codec="pickle", pickle_types=[Shape])(draw).enqueue(shape=Shape(6))
    by_hand = jobs.registry.require("draw").enqueue(shape=Shape(7))
    with pytest.raises(InvalidArgument):
        jobs.edit(by_hand, '{"corners": 5}')
    jobs.edit(by_hand, '{"sides": 5}')
    worker = start_worker(jobs)
    assert [done(job).result() for job in (as_json, pickled, by_hand)] == [4, 6, 5]
    assert [jobs.get(job.id).codec for job in (as_json, pickled, by_hand)] == ["json", "pickle", "json"]
    worker.stop(2.0)
    jobs.close()


def test_enq_09_queues_by_exact_name(sqlite_url: str, start_worker: StartWorker) -> None:
    jobs = Backburner(sqlite_url, routes={"reports.*": "reports"})
    made = {
        name: jobs.task(name=name, **options)(lambda: None).enqueue()  # type: ignore[call-overload]
        for name, options in (
            ("reports.daily", {}), ("own", {"queue": "reports"}), ("longer", {"queue": "reports2"}),
            ("shorter", {"queue": "report"}), ("other case", {"queue": "Reports"}), ("none", {}),
        )
    }  # fmt: skip
    worker = start_worker(jobs, queues=("reports",))
    done(made["reports.daily"])
    done(made["own"])
    rest = {name: job.refresh() for name, job in made.items() if not job.refresh().done}
    assert {name: job.queue for name, job in rest.items()} == {
        "longer": "reports2", "shorter": "report", "other case": "Reports", "none": "default",
    }  # fmt: skip
    worker.stop(2.0)
    jobs.close()


def test_run_08_limits_from_the_last_sign_of_life_and_in_all(jobs: Backburner, start_worker: StartWorker) -> None:
    def says() -> None:
        job = current_job()
        assert job is not None
        while True:
            time.sleep(0.01)
            job.progress(1)

    told = threading.Event()
    silent = jobs.task(name="stalls", stall_timeout=0.3, max_attempts=1)(lambda: told.wait(60))
    stalls = silent.enqueue()
    lasts = jobs.task(name="lasts", timeout=1.2, stall_timeout=1.0, max_attempts=1)(says).enqueue()
    start_worker()
    assert "sign of life" in (done(stalls).reason or "")
    assert "longer than" in (done(lasts).reason or "")
    told.set()


def test_run_20_chosen_jobs_run_again(jobs: Backburner, start_worker: StartWorker) -> None:
    broken = [True]

    def works() -> None:
        if broken:
            raise OSError("no")

    first, second = (jobs.task(name=name, max_attempts=1)(works) for name in ("first", "second"))
    made = [first.enqueue(), first.enqueue(), second.enqueue()]
    start_worker()
    assert [done(job).state for job in made] == [JobState.FAILED] * 3
    broken.clear()
    assert jobs.retry(state="failed", task="first") == 2
    wait_until(lambda: all(job.refresh().state is JobState.SUCCEEDED for job in made[:2]), "both went well")
    assert made[2].refresh().state is JobState.FAILED
