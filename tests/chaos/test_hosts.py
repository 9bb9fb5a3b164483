"""Two hosts, with a temporary folder each, and five schedulers in processes of their own: each time fires once."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from backburner import Backburner
from backburner.cron import CronTimes
from tests.chaos.hosts import OVER, look, say
from tests.forked import Forked
from tests.store.scene import HandClock
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
PRAGUE = "Europe/Prague"
HOSTS = {"first": ("a", "b", "c"), "second": ("d", "e")}
CHANGES = {"spring": datetime(2026, 3, 29, 0, 15, tzinfo=UTC), "autumn": datetime(2026, 10, 24, 23, 45, tzinfo=UTC)}
"""A while before the clocks of Prague go forward, and back."""
SPECS = {"fixed": "30 2 * * *", "often": "*/15 * * * *"}
STEP, STEPS = timedelta(minutes=15), 14


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
def schedulers(url: str, tmp_path: Path) -> Iterator[list[str]]:
    """Five that wait for the time, three on one host and two on the other."""
    say(tmp_path, "")
    started: list[Forked] = []
    for host, names in HOSTS.items():
        folder = tmp_path / host
        folder.mkdir()
        environ = os.environ | {"TMPDIR": str(folder), "HOME": str(folder), "XDG_RUNTIME_DIR": str(folder)}
        for name in names:
            log = tmp_path / f"{name}.log"
            started.append(Forked(look, (url, str(tmp_path), name), folder=ROOT, environ=environ, output=log))
    yield [name for names in HOSTS.values() for name in names]
    say(tmp_path, OVER)
    for process in started:
        assert process.wait(60) == 0


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("change", list(CHANGES))
def test_each_time_fires_once_through_a_change_of_the_clock(
    url: str, tmp_path: Path, schedulers: list[str], change: str
) -> None:
    start, clock = CHANGES[change], HandClock(CHANGES[change])
    jobs = Backburner(url)
    jobs.store.clock = clock

    @jobs.task(name="report")
    def report() -> None: ...

    for name, spec in SPECS.items():
        jobs.schedules.add(report, name=name, cron=spec, zone=PRAGUE, missed="all")
    for number in range(STEPS):
        word = f"{number} {clock.move(STEP.total_seconds()).isoformat()}"
        say(tmp_path, word)
        answers = [tmp_path / f"{name}.looked" for name in schedulers]
        wait_until(
            lambda word=word, answers=answers: all(one.exists() and one.read_text() == word for one in answers),  # type: ignore[misc]
            f"all have looked at {word}", 60,
        )  # fmt: skip
    for name, spec in SPECS.items():
        wanted, moment = [], CronTimes(spec, ZoneInfo(PRAGUE)).after(start)
        while moment is not None and moment <= clock.now():
            wanted.append(moment)
            moment = CronTimes(spec, ZoneInfo(PRAGUE)).after(moment)
        assert wanted
        assert sorted(fire.at for fire in jobs.schedules.fires(name, 1000)) == wanted
        made = jobs.find(tag=f"schedule:{name}", limit=1000)
        assert sorted(job.run_at for job in made) == wanted
        print(f"{name}: {len(wanted)} times, {len(made)} jobs")
    jobs.close()
