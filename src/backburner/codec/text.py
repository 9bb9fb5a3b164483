"""JSON text: written and read once, with its limits."""

from __future__ import annotations

from typing import Any

import msgspec

from backburner.codec.plan import MAX_DEPTH, Misfit

_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder()


def write(packed: Any, levels: int = MAX_DEPTH) -> bytes:
    """The JSON text of a packed value, UTF-8, nested at most `levels` deep; raises `Misfit`."""
    try:
        text = _ENCODER.encode(packed)
    except UnicodeEncodeError as error:
        raise Misfit(
            "holds a lone surrogate, which is no character",
            "Clean the text, for example text.encode('utf-8', 'replace').decode()",
            unstorable=True,
        ) from error
    except RecursionError as error:
        raise too_deep() from error
    except (ValueError, OverflowError, TypeError) as error:
        # Python itself refuses to write an int of more than 4,300 digits.
        raise Misfit(str(error), "Pass a smaller value", unstorable=True) from error
    if deeper(packed, levels, text.count(b"[") + text.count(b"{")):
        raise too_deep()
    return text


def read(text: str, levels: int = MAX_DEPTH) -> Any:
    """The JSON value of a text, nested at most `levels` deep; raises `Misfit` whatever is wrong with it."""
    try:
        stored = _DECODER.decode(text)
    except RecursionError as error:
        raise too_deep() from error
    except Exception as error:
        raise Misfit(f"is no JSON ({error})") from error
    if deeper(stored, levels, text.count("[") + text.count("{")):
        raise too_deep()
    return stored


def too_deep() -> Misfit:
    """The misfit of a value that contains itself or is nested too deep."""
    return Misfit(f"is nested deeper than {MAX_DEPTH} levels, or contains itself", "Flatten it", unstorable=True)


def deeper(value: Any, levels: int, brackets: int | None = None) -> bool:
    """Whether arrays and objects are nested deeper than that; with fewer `brackets` they cannot be."""
    if (brackets is not None and brackets <= levels) or type(value) not in (list, dict):
        return False
    level = [value]
    for _ in range(levels):
        nested: list[Any] = []
        for item in level:
            nested.extend(item.values() if type(item) is dict else item)
        level = [item for item in nested if type(item) in (list, dict)]
        if not level:
            return False
    return True
