"""The project's own source files, parsed once, for the tests of its shape."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

SOURCE = Path(__file__).parents[2] / "src"

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


class Function(NamedTuple):
    """A function as written: its name with the classes and functions around it, and its node."""

    name: str
    node: FunctionNode

    @property
    def lines(self) -> int:
        """Lines from `def` to the end without the docstring: to explain is not what makes a function long."""
        end = self.node.end_lineno or self.node.lineno
        first = self.node.body[0]
        has_text = ast.get_docstring(self.node, clean=False) is not None
        text = (first.end_lineno or 0) - first.lineno + 1 if has_text else 0
        return end - self.node.lineno + 1 - text


@cache
def python_files() -> tuple[Path, ...]:
    """Every Python file of the package."""
    return tuple(sorted((SOURCE / "backburner").rglob("*.py")))


@cache
def tree_of(file: Path) -> ast.Module:
    """The file, parsed."""
    return ast.parse(file.read_text(), filename=str(file))


def name_of(file: Path) -> str:
    """The file's path as the lists of exceptions spell it: from the package's folder on."""
    return file.relative_to(SOURCE / "backburner").as_posix()


def functions_of(tree: ast.AST, around: str = "") -> Iterator[Function]:
    """Every function in a tree, methods and inner functions with their full names."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, FunctionNode):
            yield Function(around + node.name, node)
            yield from functions_of(node, f"{around}{node.name}.")
        elif isinstance(node, ast.ClassDef):
            yield from functions_of(node, f"{around}{node.name}.")
        else:
            yield from functions_of(node, around)
