"""Files and functions stay short enough to be read at one go."""

from tests.architecture.sources import functions_of, name_of, python_files, tree_of

MOST_LINES_OF_A_FILE = 350
MOST_LINES_OF_A_FUNCTION = 50

# What may be longer, and why. An entry that is no longer needed fails the test as well.
LONG_FILES: dict[str, str] = {}
LONG_FUNCTIONS: dict[tuple[str, str], str] = {
    ("store/columns.py", "job_columns"): "one list of the columns of one table",
    (
        "store/migrations/versions/v1001_first_tables.py",
        "Tables.jobs",
    ): "one list of the columns of one table",
}


def test_files_are_short() -> None:
    lines = {name_of(file): len(file.read_text().splitlines()) for file in python_files()}
    too_long = {name: count for name, count in lines.items() if count > MOST_LINES_OF_A_FILE}
    assert {name: count for name, count in too_long.items() if name not in LONG_FILES} == {}
    assert set(LONG_FILES) <= set(too_long), "these files are short by now: take them off the list"


def test_functions_are_short() -> None:
    lines = {
        (name_of(file), function.name): function.lines
        for file in python_files()
        for function in functions_of(tree_of(file))
    }
    too_long = {place: count for place, count in lines.items() if count > MOST_LINES_OF_A_FUNCTION}
    assert {place: count for place, count in too_long.items() if place not in LONG_FUNCTIONS} == {}
    assert set(LONG_FUNCTIONS) <= set(too_long), "these functions are short by now: take them off the list"
