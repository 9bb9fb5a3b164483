"""Names say what a thing is; these words say nothing."""

import ast
import re

from tests.architecture.sources import name_of, python_files, tree_of

EMPTY_WORDS = frozenset({"manager", "helper", "helpers", "util", "utils", "data", "info", "handle", "handler"})

# Names that the outside dictates, and who does.
DICTATED: dict[tuple[str, str], str] = {
    ("contrib/django/management/commands/backburner.py", "handle"): "Django calls it in each of its commands",
}


def words_of(name: str) -> set[str]:
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", name)}


def test_modules_classes_and_functions_have_telling_names() -> None:
    named = [(name_of(file), file.stem) for file in python_files()]
    named += [
        (name_of(file), node.name)
        for file in python_files()
        for node in ast.walk(tree_of(file))
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert [place for place in named if words_of(place[1]) & EMPTY_WORDS and place not in DICTATED] == []


def test_the_check_splits_names_into_words() -> None:
    assert words_of("JobManager") == {"job", "manager"}
    assert words_of("_handle_HTTPRequest") == {"handle", "http", "request"}
    assert words_of("metadata_of") == {"metadata", "of"}
