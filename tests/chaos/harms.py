"""What befalls a run: each harm begins, lasts, and is made good again."""

import os
import signal
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from typing import NamedTuple, get_args

import psutil
import psycopg

from backburner.seams import SeamName
from tests.broker.messages import delete_queue, purge
from tests.chaos import clock
from tests.chaos.arena import LEASE, Arena, Database, Tree
from tests.servers import MariaDBServer, PostgresServer
from tests.waiting import NeverHappened, wait_until
from tests.worker.seams import order_file

EVERYWHERE: tuple[Database, ...] = ("sqlite", "postgresql", "mariadb")
ON_SERVERS: tuple[Database, ...] = ("postgresql", "mariadb")
BEYOND = 2 * LEASE
"""Seconds after which every lease is over."""


class Harm(NamedTuple):
    """`strike` does it, and returns when it is over. `databases`: where there is such a thing."""

    strike: Callable[[Arena], None]
    databases: tuple[Database, ...] = EVERYWHERE
    needs_broker: bool = False
    needs_disk: bool = False


def harms_of(arena: Arena) -> Mapping[str, Harm]:
    """Those of the plan that this run can have."""
    return {
        name: HARMS[name]
        for name in arena.plan.harms
        if name in HARMS
        and arena.plan.database in HARMS[name].databases
        and (arena.broker is not None or not HARMS[name].needs_broker)
        and (arena.disk is not None or not HARMS[name].needs_disk)
    }


# Processes


def _child(arena: Arena) -> None:
    tree = _any_tree(arena)
    children = tree.children()
    if children:
        child = arena.random.choice(children)
        family = [child]
        with suppress(psutil.NoSuchProcess):
            family += [one.pid for one in psutil.Process(child).children(recursive=True)]
        for pid in family[1:]:
            arena.recorder.note("kill", pid=pid)
        arena.kill(child)


def _tree(arena: Arena) -> None:
    tree = _any_tree(arena)
    for pid in tree.family():
        arena.recorder.note("kill", pid=pid)
    tree.tell_all(signal.SIGKILL)
    tree.ended()
    arena.replace(tree)


def _supervisor(arena: Arena) -> None:
    """Alone: its children find out by themselves, and so do those that they have started for single jobs."""
    tree = _any_tree(arena)
    family, children = tree.family(), tree.children()
    for pid in family:
        arena.recorder.note("kill", pid=pid)
    tree.tell(signal.SIGKILL)
    tree.ended()
    _ended(children)
    arena.replace(tree)


def _frozen_tree(arena: Arena) -> None:
    tree = _any_tree(arena)
    family = tree.family()
    tree.tell_all(signal.SIGSTOP)
    _pass(arena.random.uniform(1.2, 2.0) * LEASE)
    for pid in family:
        arena.recorder.note("thaw", pid=pid)
    tree.tell_all(signal.SIGCONT)


def _frozen_child(arena: Arena) -> None:
    children = _any_tree(arena).children()
    if children:
        child = arena.random.choice(children)
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGSTOP)
            _pass(1.5 * LEASE)
            arena.recorder.note("thaw", pid=child)
            os.kill(child, signal.SIGCONT)


def _terms(arena: Arena) -> None:
    """Told to stop three times in a row, and started again."""
    tree = _any_tree(arena)
    for _ in range(3):
        tree.tell(signal.SIGTERM)
        _pass(0.03)
    tree.ended(40)
    arena.replace(tree)


def _reload(arena: Arena) -> None:
    _any_tree(arena).tell(signal.SIGHUP)


def _point(arena: Arena) -> None:
    """A process kills itself at a named point of its work, if one comes by."""
    point: SeamName = arena.random.choice(get_args(SeamName))
    order = order_file(arena.folder, point)
    order.with_suffix(".done").unlink(missing_ok=True)
    order.write_text(str(arena.random.randint(1, 5)))
    try:
        wait_until(lambda: order.with_suffix(".done").exists(), f"somebody comes by {point}", 4)
    except NeverHappened:
        return
    finally:
        order.unlink(missing_ok=True)
    _replace_ended(arena)


# The database


def _restart(arena: Arena) -> None:
    assert arena.server is not None
    arena.server.stop("immediate")
    _pass(arena.random.uniform(0, 1.5) * LEASE)
    arena.server.start()


def _pause(arena: Arena) -> None:
    assert arena.server is not None
    arena.server.pause()
    _pass(arena.random.uniform(0.3, 1.5) * LEASE)
    arena.server.resume()


def _read_only(arena: Arena) -> None:
    with _refusing_writes(arena):
        _pass(arena.random.uniform(0.5, 1.5) * LEASE)


def _busy(arena: Arena) -> None:
    """Another program writes for longer than the lease."""
    with closing(sqlite3.connect(str(arena.jobs.store.url.database), isolation_level=None, timeout=30)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        _pass(1.5 * LEASE)
        writer.execute("COMMIT")


def _full(arena: Arena) -> None:
    assert arena.disk is not None
    filler = arena.disk / "filler"
    try:
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(b"\0" * (1 << 20))
        _pass(1.2 * LEASE)
    finally:
        filler.unlink(missing_ok=True)
    if arena.server is not None and not arena.server.running:
        # It has given up: somebody starts it again, as an operator would.
        arena.server.stop()
        arena.server.start()


def _clock(arena: Arena) -> None:
    """The database's time jumps, by far more than a lease."""
    arena.clock_moved = True
    clock.move(arena.folder, clock.moved(arena.folder) + arena.random.choice((-40.0, 40.0)))


# The wires


def _cut(arena: Arena) -> None:
    assert arena.proxy is not None
    arena.proxy.cut()
    _pass(arena.random.uniform(0, 1.5) * LEASE)
    arena.proxy.heal()


def _hold(arena: Arena) -> None:
    assert arena.proxy is not None
    arena.proxy.pause()
    _pass(arena.random.uniform(0.3, 1.5) * LEASE)
    arena.proxy.heal()


def _blackhole(arena: Arena) -> None:
    assert arena.proxy is not None
    arena.proxy.blackhole()
    _pass(1.5 * LEASE)
    arena.proxy.heal()


# The broker


def _broker_stopped(arena: Arena) -> None:
    assert arena.broker is not None
    arena.broker.stop(crash=arena.random.random() < 0.5)
    _pass(LEASE)
    arena.broker.start()


def _purged(arena: Arena) -> None:
    assert arena.broker is not None
    with suppress(Exception):
        purge(arena.broker, arena.jobs)


def _deleted(arena: Arena) -> None:
    assert arena.broker is not None
    with suppress(Exception):
        delete_queue(arena.broker, arena.jobs)


HARMS: Mapping[str, Harm] = {
    "child": Harm(_child),
    "tree": Harm(_tree),
    "supervisor": Harm(_supervisor),
    "frozen tree": Harm(_frozen_tree),
    "frozen child": Harm(_frozen_child),
    "terms": Harm(_terms),
    "reload": Harm(_reload),
    "point": Harm(_point),
    "restart": Harm(_restart, ON_SERVERS),
    "pause": Harm(_pause, ON_SERVERS),
    "read only": Harm(_read_only, ON_SERVERS),
    "busy": Harm(_busy, ("sqlite",)),
    "full": Harm(_full, needs_disk=True),
    "clock": Harm(_clock),
    "cut": Harm(_cut, ON_SERVERS),
    "hold": Harm(_hold, ON_SERVERS),
    "blackhole": Harm(_blackhole, ON_SERVERS),
    "broker stopped": Harm(_broker_stopped, needs_broker=True),
    "broker purged": Harm(_purged, needs_broker=True),
    "broker queue deleted": Harm(_deleted, needs_broker=True),
}
"""All harms by their names. `statements` is one more: connections that fail now and then all the time."""


def _any_tree(arena: Arena) -> Tree:
    return arena.random.choice(arena.trees)


def _replace_ended(arena: Arena) -> None:
    _pass(0.1)
    for tree in list(arena.trees):
        if tree.process.poll() is not None:
            arena.replace(tree)


def _ended(pids: list[int]) -> None:
    """Wait for processes to end by themselves; where one hangs is in the log of its tree."""
    try:
        wait_until(lambda: not any(_lives(pid) for pid in pids), "orphans end by themselves", 45)
    except NeverHappened:
        for pid in filter(_lives, pids):
            os.kill(pid, signal.SIGUSR1)
        _pass(1.0)
        raise


def _lives(pid: int) -> bool:
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


@contextmanager
def _refusing_writes(arena: Arena) -> Iterator[None]:
    server = arena.server
    if isinstance(server, MariaDBServer):
        server._order("SET GLOBAL read_only = ON")
        try:
            yield
        finally:
            server._order("SET GLOBAL read_only = OFF")
        return
    assert isinstance(server, PostgresServer)
    _say(server, "ALTER SYSTEM SET default_transaction_read_only = on")
    try:
        yield
    finally:
        _say(server, "ALTER SYSTEM RESET default_transaction_read_only")


def _say(server: PostgresServer, order: str) -> None:

    with psycopg.connect(server._conninfo(), autocommit=True) as connection:
        connection.execute("SET default_transaction_read_only = off")
        connection.execute(order)
        connection.execute("SELECT pg_reload_conf()")


def _pass(seconds: float) -> None:
    """Let time pass: how long a harm lasts is a part of it."""
    threading.Event().wait(seconds)
