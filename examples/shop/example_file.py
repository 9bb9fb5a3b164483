"""A made-up price list of any length, for whoever has no CSV file at hand."""

from __future__ import annotations

from collections.abc import Iterator

_WHAT = ("Tent", "Sleeping bag", "Stove", "Backpack", "Headlamp", "Rain jacket", "Trail shoes", "Water filter")
_MADE_BY = ("Alpstock", "Nordvik", "Kestrel", "Fjellrev", "Brno Outdoor", "Larch & Pine")
_COLORS = ("pine", "slate", "ember", "sand", "lake")


def example_lines(rows: int, wrong: bool = True) -> Iterator[str]:
    """A CSV file line by line: mark, quotes, commas inside, and with `wrong` a few rows that cannot be read."""
    yield "\ufeffsku,name,price,color,description\r\n"
    for number in range(1, rows + 1):
        what, maker = _WHAT[number % 8], _MADE_BY[number % 6]
        name = f"{what} {number % 40 + 1}, {maker}"
        price = f"{number * 7919 % 90_000 / 100 + 4:.2f}"
        color = _COLORS[number % 5]
        text = f'{what} by ""{maker}"", {color}'
        yield f'KO-{number:07},"{name}",{price},{color},"{text}"\r\n'
        if wrong and number % (rows // 3 + 1) == 17:
            yield f"KO-{number:07},the same number again,1.00,pine,\r\n"
        if wrong and number % (rows // 2 + 1) == 23:
            yield f"KO-X{number:06},one field is missing,2.00,pine\r\n"
