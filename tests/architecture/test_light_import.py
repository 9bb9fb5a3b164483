"""`import backburner` and `backburner --help` answer at once: nothing heavy is loaded before it is needed."""

import subprocess
import sys

HEAVY = (
    "aiosqlite",
    "alembic",
    "asyncio",
    "backburner.insight.insight",
    "fastapi",
    "fsspec",
    "importlib.metadata",
    "jinja2",
    "kombu",
    "opentelemetry",
    "psycopg",
    "pydantic",
    "sqlalchemy",
    "starlette",
    "uvicorn",
)
TERMINAL = ("click", "rich")


def loaded_after(program: str, watched: tuple[str, ...]) -> list[str]:
    """Run a program in a fresh interpreter; return which of the watched modules it has loaded."""
    asking = f"import sys\n{program}\nprint('loaded:', *(name for name in {watched!r} if name in sys.modules))"
    run = subprocess.run([sys.executable, "-c", asking], capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()[-1].split()[1:]


def test_the_package_loads_nothing_heavy() -> None:
    assert loaded_after("import backburner", HEAVY + TERMINAL) == []


def test_the_command_line_shows_its_help_without_anything_heavy() -> None:
    showing = (
        "from backburner.cli import main\n"
        "try:\n    main(['--help'])\n"
        "except SystemExit as end:\n    assert end.code in (0, None), end.code\n"
    )
    assert loaded_after(showing, HEAVY) == []


def test_a_database_loads_the_dialect_of_no_other(sqlite_url: str) -> None:
    others = ("sqlalchemy.dialects.mysql", "sqlalchemy.dialects.postgresql")
    looking = f"from backburner import Backburner\nassert Backburner({sqlite_url!r}).find() == []"
    assert loaded_after(looking, (*others, "sqlalchemy.dialects.sqlite")) == ["sqlalchemy.dialects.sqlite"]


def test_the_check_sees_a_heavy_module() -> None:
    assert loaded_after("import sqlalchemy", HEAVY + TERMINAL)[-1:] == ["sqlalchemy"]
