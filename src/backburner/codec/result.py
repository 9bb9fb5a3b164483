"""What a task returned, as text and back."""

from __future__ import annotations

from typing import Any

from backburner.codec import text as json_text
from backburner.codec.compile import plan_for
from backburner.codec.plan import Misfit, tag_of
from backburner.errors import DecodeError, NotSerializable, TooLarge

MAX_RESULT_BYTES = 1_048_576
"""1 MiB: the default limit of a stored result."""

_FREE = "any"
_REMEDY = "Give the task a return annotation that fits, or return builtin values"


def encode_result(value: Any, annotation: Any = Any, max_bytes: int = MAX_RESULT_BYTES) -> str:
    """The stored text of a result.

    A value that does not fit the return annotation is stored self-describing, marked {"$any": ...}: the job
    is done, and must not fail because of a hint. Raises `NotSerializable` when that is not possible either,
    `TooLarge` above `max_bytes` of UTF-8.
    """
    if value is None:
        return "null"
    try:
        text = json_text.write(_pack(value, annotation))
    except RecursionError as error:
        raise _refused(value, json_text.too_deep()) from error
    except Misfit as misfit:
        raise _refused(value, misfit) from misfit.__cause__
    if len(text) > max_bytes:
        raise TooLarge(
            "the result", len(text), max_bytes, "Attach a file and return its name, or raise max_result_bytes"
        )
    return text.decode()


def decode_result(text: str, annotation: Any = None) -> Any:
    """The result of a stored text; without an annotation, builtin values only.

    Raises `DecodeError`, and nothing else, for any text.
    """
    try:
        stored = json_text.read(text)
        if tag_of(stored) == _FREE:
            return plan_for(Any).unpack(stored["$" + _FREE])
        if stored is None:
            return None
        return plan_for(Any if annotation is None or isinstance(annotation, str) else annotation).unpack(stored)
    except Misfit as misfit:
        raise DecodeError("result", misfit.sentence()) from misfit
    except Exception as error:
        raise DecodeError("result", f"{type(error).__name__}: {error}") from error


def _pack(value: Any, annotation: Any) -> Any:
    free = plan_for(Any)
    plan = free if annotation is None or isinstance(annotation, str) else plan_for(annotation)
    try:
        packed = plan.pack(value)
        # A real dict with that one key must not be taken for the mark.
        if tag_of(packed) != _FREE and packed is not None:
            return packed
    except Misfit as misfit:
        if plan is free:
            raise
        if type(value) in plan.types and misfit.unstorable:
            raise
    return {"$" + _FREE: free.pack(value)}


def _refused(value: Any, misfit: Misfit) -> NotSerializable:
    return NotSerializable("the result", value, misfit.sentence(), _REMEDY if misfit.unstorable else misfit.remedy)
