"""Arguments and results as JSON text: types in, types out, and nothing is ever imported by name.

`Parameters.of(function)` is built once per task; its `bind` makes the stored text of a call, its `load` what
to call the function with. `encode_result` and `decode_result` do the same for what it returned. `plan.py`
lists the stored forms.
"""

from __future__ import annotations

from backburner.codec.concealed import has_secrets, is_closed, moved, steady
from backburner.codec.parameters import MAX_ARGS_BYTES, Parameters
from backburner.codec.pickled import PICKLE, Pickles
from backburner.codec.plan import MAX_DEPTH
from backburner.codec.result import MAX_RESULT_BYTES, decode_result, encode_result
from backburner.codec.review import Fault, pointer, review
from backburner.codec.sensitive import ENCRYPTED, HIDDEN, is_sensitive, readable, without_secrets
from backburner.codec.signature import hints_of
from backburner.codec.text import deeper

CODEC = "json"
"""The name a stored row gives to this form."""

__all__ = [
    "CODEC",
    "ENCRYPTED",
    "Fault",
    "HIDDEN",
    "MAX_ARGS_BYTES",
    "MAX_DEPTH",
    "MAX_RESULT_BYTES",
    "PICKLE",
    "Parameters",
    "Pickles",
    "decode_result",
    "deeper",
    "encode_result",
    "has_secrets",
    "hints_of",
    "is_closed",
    "is_sensitive",
    "moved",
    "pointer",
    "readable",
    "review",
    "steady",
    "without_secrets",
]
