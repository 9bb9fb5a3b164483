"""`CallForm`: the arguments of a task as the fields of a form, made from its signature."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from backburner.codec import CODEC, is_sensitive, review, without_secrets
from backburner.job import Job
from backburner.task import Task

PREFIX = "arg."
"""What the names of fields begin with, so that no parameter is taken for something else."""


class _Blank:
    """Nothing was given: the parameter keeps its default, or, of a job that is edited, its value."""


BLANK = _Blank()


@dataclass(frozen=True, slots=True)
class Entry:
    """One field. `kind` is text, number, integer, date, choice, yes or json; `problem` is what is wrong with it."""

    name: str
    kind: str
    required: bool
    hint: str
    choices: tuple[str, ...] = ()
    value: str = ""
    secret: bool = False
    problem: str = ""

    @property
    def field(self) -> str:
        """The name of the field."""
        return PREFIX + self.name


@dataclass(frozen=True, slots=True)
class CallForm:
    """All fields of a call. `problem` is what is wrong with the whole."""

    entries: tuple[Entry, ...]
    problem: str = ""

    @classmethod
    def of(cls, task: Task[Any, Any], arguments: Mapping[str, Any] | None = None) -> CallForm | None:
        """The fields, filled with the arguments of a call that is there; None when no form can give them."""
        if task.codec != CODEC:
            return None
        schema = task.parameters.schema()
        signature = inspect.signature(task.function)
        return cls(tuple(_entry(task, name, schema, signature, arguments) for name in task.parameters.names))

    def filled(self, given: Mapping[str, str]) -> CallForm:
        """The same fields with what was typed."""
        return replace(
            self,
            entries=tuple(
                entry if entry.secret else replace(entry, value=given.get(entry.field, "")) for entry in self.entries
            ),
        )

    def arguments(self, given: Mapping[str, str], before: Mapping[str, Any] | None = None) -> dict[str, Any] | CallForm:
        """What was typed, as JSON values by parameter; else the form again, with what is wrong."""
        found: dict[str, Any] = dict(before or {})
        entries = []
        for entry in self.filled(given).entries:
            value, problem = _value(entry, given.get(entry.field, ""))
            if not isinstance(value, _Blank):
                found[entry.name] = value
            elif before is not None and not entry.secret and entry.name in found:
                # A field that was emptied: the default again.
                del found[entry.name]
            if isinstance(value, _Blank) and entry.required and entry.name not in found and not problem:
                problem = "It is required."
            entries.append(replace(entry, problem=problem))
        return CallForm(tuple(entries)) if any(entry.problem for entry in entries) else found

    def reviewed(
        self, task: Task[Any, Any], arguments: Mapping[str, Any], given: Mapping[str, str], job: Job | None = None
    ) -> CallForm | None:
        """The form again, with what does not fit the signature; None when all fits.

        `job` is the one that is edited: what is encrypted in its arguments may stay as it is.
        """
        faults = review(task.parameters, arguments, None if job is None else task.box(job.task, job.id))
        if not faults:
            return None
        by_name: dict[str, list[str]] = {}
        for fault in faults:
            name, _, deeper = fault.pointer.removeprefix("/").partition("/")
            by_name.setdefault(name, []).append(f"{f'/{deeper} ' if deeper else 'It '}{fault.problem}.")
        entries = tuple(
            replace(entry, problem=" ".join(by_name.get(entry.name, ()))) for entry in self.filled(given).entries
        )
        known = {entry.name for entry in entries}
        return CallForm(
            entries, " ".join(text for name, texts in by_name.items() if name not in known for text in texts)
        )


def _entry(
    task: Task[Any, Any], name: str, schema: Mapping[str, Any], signature: inspect.Signature,
    arguments: Mapping[str, Any] | None,
) -> Entry:  # fmt: skip
    shape = _plain(schema["properties"][name], schema.get("$defs", {}))
    kind, choices = _kind(shape)
    required, secret = task.parameters.required(name), is_sensitive(name) or name in task.parameters.secrets
    if arguments is not None and name in arguments:
        # A form cannot give back what it does not show: a secret within makes all of it one.
        secret = secret or without_secrets(arguments[name]) != arguments[name]
    default = signature.parameters[name].default
    hint = "required" if required else "" if secret else f"else {default!r}"[:80]
    value = ""
    if arguments is not None and name in arguments and not secret:
        stored = arguments[name]
        value = (
            stored if kind in ("text", "date") and isinstance(stored, str) else json.dumps(stored, ensure_ascii=False)
        )
        if kind == "choice" and isinstance(stored, str):
            value = stored
    if secret and arguments is not None:
        required, hint = False, "stays as it is when left empty"
    return Entry(name, kind, required, hint, choices, value, secret)


def _plain(shape: Mapping[str, Any], defs: Mapping[str, Any]) -> Mapping[str, Any]:
    """The form of a value that is not null."""
    while "$ref" in shape:
        shape = defs.get(shape["$ref"].rpartition("/")[2], {})
    others = [one for one in shape.get("anyOf", ()) if one.get("type") != "null"]
    return _plain(others[0], defs) if len(others) == 1 else shape


def _kind(shape: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    options = shape.get("enum")
    if options and all(isinstance(one, str) for one in options):
        return "choice", tuple(options)
    match shape.get("type"), shape.get("format"):
        case "string", "date":
            return "date", ()
        case "string", _:
            return "text", ()
        case "integer", _:
            return "integer", ()
        case "number", _:
            return "number", ()
        case "boolean", _:
            return "yes", ()
    return "json", ()


def _value(entry: Entry, text: str) -> tuple[Any, str]:
    """The JSON value of what was typed, and what is wrong with it."""
    if entry.kind == "text" and (text or (entry.required and not entry.secret)):
        return text, ""
    if not text.strip():
        return BLANK, ""
    if entry.kind in ("choice", "date"):
        return text, ""
    try:
        return json.loads(text), ""
    except (ValueError, RecursionError):
        example = {"integer": "12", "number": "0.5", "yes": "true or false"}.get(entry.kind, '["a", "b"]')
        return BLANK, f"It cannot be read. Write it like {example}."
