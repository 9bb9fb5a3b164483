"""Each row of the table of parity has a test named by it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent

ROWS = (
    *(f"enq_{number:02}" for number in range(1, 20)),
    *(f"run_{number:02}" for number in range(1, 22)),
    *(f"out_{number:02}" for number in range(1, 16)),
    *(f"see_{number:02}" for number in range(1, 19)),
    "fra_01",
)

MISSING: set[str] = set()
"""Rows without a test so far. One that gets its test has to be taken off here."""

EVERYWHERE = {
    "enq_11", "enq_12", "enq_13", "enq_14", "run_02", "run_10", "run_11", "run_19",
    "out_04", "out_07", "out_08", "out_09",
}  # fmt: skip
"""Rows that hold only if they hold on every database: claiming, groups, uniqueness, transactions.

Their tests ask for each of them, and take turns in the gate (`tests/turns.py`).
"""

ANY_DATABASE = {"jobs_everywhere", "database_url"}


def named_here() -> Iterator[tuple[str, set[str]]]:
    """The name of each test of this folder, and its parameters."""
    for path in sorted(HERE.glob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                yield node.name, {argument.arg for argument in node.args.args}


def rows_tested() -> dict[str, set[str]]:
    """Each row that tests are named by, and the parameters of those tests."""
    found: dict[str, set[str]] = {}
    for name, parameters in named_here():
        row = "_".join(name.split("_")[1:3])
        if row.startswith(("enq_", "run_", "out_", "see_", "fra_")) and row[4:].isdigit():
            found.setdefault(row, set()).update(parameters)
    return found


TESTED = rows_tested()


@pytest.mark.parametrize("row", ROWS)
def test_a_row_has_a_test(row: str) -> None:
    if row in MISSING:
        assert row not in TESTED, f"{row} has a test: take it off MISSING"
    else:
        assert row in TESTED, f"there is no test_{row}_..."


def test_tests_and_lists_name_rows_that_exist() -> None:
    assert set(ROWS) >= TESTED.keys() | EVERYWHERE


def test_rows_that_databases_could_differ_in_ask_for_each() -> None:
    once = [row for row in sorted(EVERYWHERE) if not TESTED.get(row, set()) & ANY_DATABASE]
    assert once == [], "none of their tests uses the fixture jobs_everywhere or database_url"
