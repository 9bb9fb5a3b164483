"""Where imports stand. Which way they point is import-linter's to check (see pyproject.toml)."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.sources import functions_of, name_of, python_files, tree_of

# The only functions that may import our own modules, and why.
GATES = {
    (
        "store/__init__.py",
        "open",
    ): "SQLAlchemy is loaded with the first store, so that `import backburner` stays light",
    (
        "pytest_plugin.py",
        "_backburner_pattern",
    ): "pytest loads the plugin in every project, so it stays light until it is used",
    ("pytest_plugin.py", "jobs_testing"): "as above",
    ("pytest_plugin.py", "backburner"): "as above",
    ("backburner.py", "Backburner.insight"): "who only enqueues or runs jobs looks at none",
    ("database.py", "Database.bell"): "bells import SQLAlchemy too",
    ("database.py", "_brokers"): "so does the broker, which imports kombu besides",
}


def own(module: object) -> bool:
    return isinstance(module, str) and module.partition(".")[0] == "backburner"


def own_imports(tree: ast.AST) -> Iterator[str]:
    """Our own modules that a piece of code imports, by statement or by name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if own(alias.name))
        elif isinstance(node, ast.ImportFrom):
            if node.level or own(node.module):
                yield "." * node.level + (node.module or "")
        elif isinstance(node, ast.Call) and called(node) in {"import_module", "__import__"}:
            yield from (named for named in map(literal_start, node.args[:1]) if own(named) or named.startswith("."))


def called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def literal_start(node: ast.expr) -> str:
    """What a text begins with, f-strings included; empty when it is not written out."""
    if isinstance(node, ast.JoinedStr) and node.values:
        node = node.values[0]
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def function_level_imports(file: Path) -> list[tuple[str, str]]:
    return [
        (name_of(file), function.name)
        for function in functions_of(tree_of(file))
        if any(own_imports(ast.Module(function.node.body, [])))
    ]


def test_no_function_imports_our_own_modules() -> None:
    found = [place for file in python_files() for place in function_level_imports(file)]
    assert [place for place in found if place not in GATES] == []


def test_nothing_below_imports_the_root_package() -> None:
    """`from backburner import Job` inside the package is a cycle through the list of public names."""
    modules = {file.stem for file in python_files()} | {file.parent.name for file in python_files()}
    found = [
        (name_of(file), alias.name)
        for file in python_files()
        for node in ast.walk(tree_of(file))
        if isinstance(node, ast.ImportFrom) and node.module == "backburner" and node.level == 0
        for alias in node.names
        if alias.name not in modules
    ]
    assert found == []


def test_the_check_sees_each_way_to_import() -> None:
    code = (
        "def a():\n    import backburner.store\n"
        "def b():\n    from backburner import job\n"
        "def c():\n    from . import job\n"
        "def d():\n    importlib.import_module('backburner.store')\n"
        "def e(x):\n    import_module(f'backburner.{x}')\n"
        "class F:\n    async def g(self):\n        if self:\n            from backburner.job import Job\n"
        "def fine(x):\n    import json\n    import_module(x)\n"
    )
    seen = [f.name for f in functions_of(ast.parse(code)) if any(own_imports(ast.Module(f.node.body, [])))]
    assert seen == ["a", "b", "c", "d", "e", "F.g"]
