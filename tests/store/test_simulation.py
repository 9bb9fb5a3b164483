"""The protocol of claim, finish, rescue and groups under any interleaving: thousands of seeds by hand, some here.

`SIMULATION_SEEDS=5000 .venv/bin/pytest -m "" tests/store/test_simulation.py -k at_length` plays so many.
"""

import os
from pathlib import Path

import pytest

from backburner.store.store import Store
from tests.databases import Kind
from tests.store.scene import HandClock, Scene
from tests.store.simulation import Simulation

FOUND: tuple[int, ...] = ()
"""Seeds that have found a mistake once."""


def play(kind: Kind, folder: Path, seed: int) -> None:
    folder.mkdir()
    store = Store(kind.migrated(folder))
    store.clock = clock = HandClock()
    try:
        assert Simulation(Scene(store, clock), seed).run() == [], f"seed {seed}"
    finally:
        store.close()


@pytest.mark.parametrize("seed", [*range(6), *FOUND])
def test_no_rule_is_broken(sqlite_kind: Kind, tmp_path: Path, seed: int) -> None:
    play(sqlite_kind, tmp_path / "one", seed)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_no_rule_is_broken_at_length(sqlite_kind: Kind, tmp_path: Path) -> None:
    for seed in range(int(os.environ.get("SIMULATION_SEEDS", "500"))):
        play(sqlite_kind, tmp_path / str(seed), seed)
