"""What `backburner doctor` checks: each check yields its findings."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

from backburner.backburner import Backburner
from backburner.broker import probe
from backburner.cli.text import bytes_text, duration
from backburner.errors import BackburnerError, MissingExtra, SettingsError
from backburner.job import JobFilter
from backburner.notify import open_bell
from backburner.settings import masked
from backburner.states import JobState
from backburner.store import versions
from backburner.store.health import DatabaseFile, Health
from backburner.store.workers import WorkerRow
from backburner.vault import Vault

CLOCK_SECONDS = 2.0
SNAPSHOT_SECONDS = 300.0
WAL_BYTES = 256 * 2**20
NOTIFY_SECONDS = 5.0
_HELD_SHOWN = 5


class Verdict(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


class Finding(NamedTuple):
    """What a check found; `fatal` when the checks after it have nothing to stand on."""

    check: str
    verdict: Verdict
    text: str
    remedy: str = ""
    fatal: bool = False


def driver(jobs: Backburner) -> Iterator[Finding]:
    """The driver is installed, the URL can be used."""
    try:
        package = jobs.store.driver.distribution
    except BackburnerError as error:
        yield Finding(
            "driver", Verdict.PROBLEM, str(error), "Correct it; the other checks need the database", fatal=True
        )
        return
    try:
        number = version(package)
    except PackageNotFoundError:
        number = "of Python's own library"
    yield Finding("driver", Verdict.OK, f"{package} {number}")


def database_file(jobs: Backburner) -> Iterator[Finding]:
    """An SQLite file can be written, and only by those who should."""
    file = Health(jobs.store).file
    if file is None:
        return
    remedies = list(_file_problems(file))
    for verdict, text, remedy in remedies:
        yield Finding("file", verdict, text, remedy, fatal=verdict is Verdict.PROBLEM)
    if not file.exists and not remedies:
        text = f"{file.path} is not there yet"
        yield Finding("file", Verdict.WARNING, text, "It is made at first use; check the path", fatal=True)
    elif not remedies:
        wal = f", write-ahead log {bytes_text(file.wal)}"
        yield Finding("file", Verdict.OK, f"{file.path}, {bytes_text(file.size)}{wal}")


def _file_problems(file: DatabaseFile) -> Iterator[tuple[Verdict, str, str]]:
    if not file.folder_writable:
        remedy = "Let this user write there: SQLite keeps files beside the database"
        yield Verdict.PROBLEM, f"the folder {file.path.parent} cannot be written", remedy
    if not file.writable:
        yield Verdict.PROBLEM, f"{file.path} cannot be written", "Let this user write it"
    if file.open_to_others:
        yield Verdict.WARNING, f"{file.path} may be read by every user of this machine", f"Run: chmod o= {file.path}"
    if file.wal > WAL_BYTES:
        text = f"the write-ahead log has {bytes_text(file.wal)}: a reader has kept it from being emptied"
        yield Verdict.WARNING, text, "End long read transactions on the file, such as an open sqlite3 shell"


def database(jobs: Backburner) -> Iterator[Finding]:
    """The database answers, and its tables are as they should be."""
    store = jobs.store
    try:
        found = store.version()
    except BackburnerError as error:
        yield Finding("database", Verdict.PROBLEM, str(error), "Check the URL, the server and the network", fatal=True)
        return
    if found is None or (found != versions.NEEDED and not versions.is_newer(found)):
        text = f"the database has {'no tables' if found is None else f'tables of version {found}'}"
        itself = jobs.settings.migrates_itself
        remedy = "They are made at first use, or by: backburner migrate" if itself else "Run: backburner migrate"
        yield Finding("tables", Verdict.WARNING if itself else Verdict.PROBLEM, text, remedy, fatal=True)
        return
    if versions.is_newer(found) and not versions.can_work_with(found):
        text = f"the tables have version {found}, this Backburner knows {versions.NEEDED}"
        yield Finding("tables", Verdict.PROBLEM, text, "Install the newer Backburner here too", fatal=True)
        return
    store.ready()
    server, seconds = Health(store).server()
    yield Finding("database", Verdict.OK, f"{server} answers in {seconds * 1000:.1f} ms")
    yield Finding("tables", Verdict.OK, f"version {found}")


def clock(jobs: Backburner) -> Iterator[Finding]:
    """This machine's clock agrees with the database's."""
    asked = datetime.now(UTC)
    theirs = Health(jobs.store).time().astimezone(UTC)
    middle = asked + (datetime.now(UTC) - asked) / 2
    gap = abs((theirs - middle).total_seconds())
    text = f"this machine and the database differ by {duration(gap)}"
    if gap <= CLOCK_SECONDS:
        yield Finding("clock", Verdict.OK, text)
    else:
        # Backburner lives by the database's time: only what the app computes itself is off.
        remedy = "Set this machine's clock (NTP): times that the app computes for run_at are off by that much"
        yield Finding("clock", Verdict.WARNING, text, remedy)


def secrets(jobs: Backburner) -> Iterator[Finding]:
    """Arguments that are secret can be encrypted and opened here; nothing is said where no task has any."""
    names = [task.name for task in jobs.registry if task.parameters.secret]
    if not names:
        return
    told = f"{names[0]} and {len(names) - 1} more" if len(names) > 1 else names[0]
    try:
        Vault(jobs.settings.secrets).cipher()
    except (SettingsError, MissingExtra) as error:
        yield Finding("secrets", Verdict.PROBLEM, str(error), f"Until then no job of {told} can be enqueued or run")
        return
    yield Finding("secrets", Verdict.OK, f"arguments of {told} can be encrypted")


def wake_up(jobs: Backburner) -> Iterator[Finding]:
    """A NOTIFY of one connection reaches a LISTEN on another; with a broker, a message comes back from it."""
    if jobs.settings.broker is not None:
        yield _broker(jobs.settings.broker)
        return
    if jobs.store.dialect.name != "postgresql":
        often = "once a second " if jobs.store.dialect.name == "mysql" else ""
        yield Finding("wake-up", Verdict.OK, f"workers look {often}for commits of other processes")
        return
    # Two bells: one alone would tell its own ears without asking the database.
    listening, ringing = open_bell(jobs.store), open_bell(jobs.store)
    ear = listening.ear()
    try:
        # It rings once by itself, as soon as it listens.
        heard = ear.wait(NOTIFY_SECONDS)
        if heard:
            ringing.ring([jobs.settings.default_queue])
            heard = ear.wait(NOTIFY_SECONDS)
    finally:
        ear.close()
        ringing.close()
        listening.close()
    if heard:
        yield Finding("wake-up", Verdict.OK, "LISTEN/NOTIFY is delivered")
    else:
        text = f"a NOTIFY was not delivered within {NOTIFY_SECONDS:g} s; workers only find jobs by polling"
        remedy = "Let workers connect to the server itself: a pooler in transaction mode drops LISTEN"
        yield Finding("wake-up", Verdict.WARNING, text, remedy)


def _broker(url: str) -> Finding:
    try:
        seconds = probe(url)
    except Exception as error:  # noqa: BLE001 (drivers raise what they like; all of it is the finding)
        text = f"{masked('broker', url)} does not answer: {type(error).__name__}: {error}"
        remedy = "Start it, or correct the setting broker; until then workers look into the database, as without one"
        return Finding("broker", Verdict.WARNING, text, remedy)
    return Finding("broker", Verdict.OK, f"{masked('broker', url)} answers in {seconds * 1000:.1f} ms")


def workers(jobs: Backburner) -> Iterator[Finding]:
    """Somebody is there to run what is ready."""
    store = jobs.store
    now = store.clock.now()
    found = store.workers.live()
    live = [worker for worker in found if worker.lease_until >= now]
    for worker in found:
        if worker.lease_until < now:
            text = f"{_named(worker)} has not been heard of for {duration((now - worker.beat_at).total_seconds())}"
            yield Finding("workers", Verdict.WARNING, text, "The next worker takes over its jobs")
    with store.borrowed_lane() as lane:
        ready = store.claims.ready_queues(lane)
    if not live:
        waiting = f"; jobs wait in {', '.join(ready)}" if ready else ""
        yield Finding("workers", Verdict.WARNING, f"no worker is running{waiting}", "Run: backburner worker")
        return
    places = sum(worker.concurrency for worker in live)
    yield Finding("workers", Verdict.OK, f"{len(live)} running, up to {places} jobs at once")
    yield from _queues(live, ready, jobs.settings.queues)


def _named(worker: WorkerRow) -> str:
    label = f" ({worker.label})" if worker.label else ""
    return f"worker {worker.id}{label} on {worker.host}, process {worker.pid},"


def _queues(live: list[WorkerRow], ready: list[str], known: tuple[str, ...] | None) -> Iterator[Finding]:
    taken: set[str] = set()
    for worker in live:
        taken |= set(json.loads(worker.queues)) if worker.queues else set()
    everything = any(worker.queues is None for worker in live)
    for queue in sorted(set() if everything else set(ready) - taken):
        text = f"jobs wait in queue {queue}, which no live worker takes"
        yield Finding("queues", Verdict.PROBLEM, text, f"Start one: backburner worker -q {queue}")
    for queue in sorted(taken - set(known) if known is not None else ()):
        text = f"a worker takes queue {queue}, which the setting queues does not name"
        yield Finding("queues", Verdict.WARNING, text, "Correct the worker's --queue, or the setting")


def held(jobs: Backburner) -> Iterator[Finding]:
    """No job waits for something that will not come by itself."""
    which = JobFilter(states=frozenset({JobState.BLOCKED}))
    count = jobs.control.count(which)
    if not count:
        yield Finding("held jobs", Verdict.OK, "none")
        return
    for job in jobs.control.find(which, _HELD_SHOWN):
        text = f"{job.id}: {' '.join(jobs.control.why_not_running(job))}"
        yield Finding("held jobs", Verdict.WARNING, text)
    text = f"{count:,} {'job is' if count == 1 else 'jobs are'} held"
    remedy = "Start a worker that knows the task, or: backburner jobs retry / cancel / delete"
    yield Finding("held jobs", Verdict.WARNING, text, remedy)


def schedules(jobs: Backburner) -> Iterator[Finding]:
    """Every schedule fires, and its jobs run."""
    found = jobs.schedules.list()
    for schedule in found:
        for problem in jobs.schedules.problems(schedule):
            remedy = f"See: backburner schedules show {shlex.quote(schedule.name)}"
            yield Finding("schedules", Verdict.WARNING, f"{schedule.name}: {problem}", remedy)
    active = sum(1 for schedule in found if schedule.active)
    yield Finding("schedules", Verdict.OK, f"{active} of {len(found)} fire" if found else "none")


def snapshots(jobs: Backburner) -> Iterator[Finding]:
    """No session keeps PostgreSQL from cleaning up: dead rows make every claim slower."""
    if jobs.store.dialect.name != "postgresql":
        return
    found = Health(jobs.store).old_snapshots(SNAPSHOT_SECONDS)
    for one in found[:_HELD_SHOWN]:
        text = f"session {one.pid} ({one.application or 'unnamed'}, {one.state}) is {duration(one.age)} old"
        remedy = f"End its transaction, or: SELECT pg_terminate_backend({one.pid}). Finished rows cannot be cleaned"
        yield Finding("snapshots", Verdict.WARNING, text, remedy)
    if not found:
        yield Finding("snapshots", Verdict.OK, f"no transaction is older than {duration(SNAPSHOT_SECONDS)}")


CHECKS: tuple[Callable[[Backburner], Iterator[Finding]], ...] = (
    driver,
    database_file,
    database,
    clock,
    secrets,
    wake_up,
    workers,
    held,
    schedules,
    snapshots,
)
"""In order: those further down need those above."""
