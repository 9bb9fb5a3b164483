"""What may be kept as the place where an attempt stands."""

from typing import Any

import pytest

from backburner.checkpoint import MAX_BYTES, check_cursor
from backburner.errors import InvalidArgument, TooLarge


def deep() -> list[Any]:
    made: list[Any] = []
    for _ in range(100_000):
        made = [made]
    return made


@pytest.mark.parametrize("cursor", [object(), {1, 2}, b"bytes", deep()], ids=["object", "set", "bytes", "deep"])
def test_what_is_no_json_is_refused(cursor: object) -> None:
    with pytest.raises(InvalidArgument, match="is no JSON value") as caught:
        check_cursor("import", cursor)
    assert len(str(caught.value)) < 1_000


def test_a_position_may_be_kept_and_no_data() -> None:
    check_cursor("import", {"row": 17, "after": "Ada"})
    with pytest.raises(TooLarge):
        check_cursor("import", "x" * (MAX_BYTES + 1))
