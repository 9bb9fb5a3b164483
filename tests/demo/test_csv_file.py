"""Any CSV file a person has."""

from pathlib import Path

import pytest

from backburner import PermanentError
from examples.shop.csv_file import CsvFile, Layout, Row
from examples.shop.csv_text import look_at


def read(path: Path, content: bytes) -> tuple[Layout, list[Row]]:
    path.write_bytes(content)
    with CsvFile(look_at(path)) as file:
        return file.layout, list(file.rows())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file.csv"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters(path: Path, delimiter: str) -> None:
    lines = ["name,sku,price,x", '"a, b; c",S1,1.50,', "d,S2,2,e"]
    layout, rows = read(path, "\n".join(line.replace(",", delimiter) for line in lines).encode())
    assert layout.delimiter == delimiter
    assert layout.columns == ("name", "sku", "price", "x")
    assert (layout.key, layout.name, layout.price) == (1, 0, 2)
    assert [row.fields[1] for row in rows] == ["S1", "S2"]


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        ("\ufeffid,name\r\n1,Zürich\r\n".encode(), "utf-8"),
        ("id,name\r\n1,Zürich\r\n".encode("cp1252"), "cp1252"),
        ("id,name\n1,Zürich\n".encode("utf-16"), "utf-8"),
        ("id,name\r1,Zürich\r".encode(), "utf-8"),
    ],
)
def test_encodings_and_line_ends(path: Path, content: bytes, encoding: str) -> None:
    path.write_bytes(content)
    text = look_at(path)
    assert (text.encoding, text.lines) == (encoding, 2)
    layout, rows = read(path, content)
    assert layout.columns == ("id", "name")
    assert [row.fields for row in rows] == [("1", "Zürich")]


def test_one_column_and_no_newline_at_the_end(path: Path) -> None:
    layout, rows = read(path, b"code\nA\n\n B ")
    assert layout.columns == ("code",)
    assert [(row.line, row.fields) for row in rows] == [(2, ("A",)), (4, (" B ",))]


def test_names_of_columns_are_made_distinct(path: Path) -> None:
    layout, _ = read(path, b"a,,a,a\n1,2,3,4\n")
    assert layout.columns == ("a", "column 2", "a (2)", "a (3)")


def test_a_broken_row_takes_no_other_rows_along(path: Path) -> None:
    lines = ["id,name", '1,"open', "2,b", '3,"c" d', '4,"two', 'lines"', "5,e"]
    _, rows = read(path, "\n".join(lines).encode())
    assert [(row.line, row.problem is None) for row in rows] == [
        (2, False),
        (3, True),
        (4, False),
        (5, True),
        (7, True),
    ]
    assert rows[3].fields == ("4", "two\nlines")


def test_a_quote_that_is_never_closed_costs_one_row_of_many(path: Path) -> None:
    lines = ["id,name", '1,"open', *(f"{number},x" for number in range(2, 40_000))]
    _, rows = read(path, "\n".join(lines).encode())
    assert [row.line for row in rows if row.problem] == [2]
    assert len(rows) == 39_999


def test_reading_goes_on_from_any_row(path: Path) -> None:
    content = '\ufeffid;name\r\n1;"a\r\nb"\r\n2\r\n3;c\r\n\r\n4;"open\r\n5;ü\r\n'.encode()
    _, rows = read(path, content)
    assert [row.fields[0] if row.fields else "" for row in rows] == ["1", "2", "3", "", "5"]
    for number, row in enumerate(rows, 1):
        with CsvFile(look_at(path)) as file:
            assert list(file.rows(row.next)) == rows[number:]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "The file is empty."),
        (b" \n\n", "The file is empty."),
        (b"PK\x03\x04rest", "a spreadsheet or an archive"),
        (b"id,name\n1,\0\n", "zero bytes"),
        (b'"id,name\n1,2\n', "The first line should name the columns."),
        (b",".join(b"c" for _ in range(501)) + b"\n", "501 columns"),
    ],
)
def test_what_is_no_csv_is_refused_with_a_reason(path: Path, content: bytes, words: str) -> None:
    with pytest.raises(PermanentError, match=words):
        read(path, content)


def test_a_header_alone_has_no_rows(path: Path) -> None:
    _, rows = read(path, b"id,name\n")
    assert rows == []
