"""`Parameters`: the arguments of one task, from a Python call to the stored text and back."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any

from backburner.codec import text as json_text
from backburner.codec.compile import plan_for
from backburner.codec.concealed import Box, closed, opened, wrapped
from backburner.codec.fast import FastForm, fast_form
from backburner.codec.plan import MAX_DEPTH, Misfit, Plan, Unfitting
from backburner.codec.refusals import Hidden, explain
from backburner.codec.sensitive import is_sensitive
from backburner.codec.signature import hints_of, refuse_methods
from backburner.errors import DecodeError, InvalidArgument, InvalidTask, NotSerializable, SignatureChanged, TooLarge

MAX_ARGS_BYTES = 262_144
"""256 KiB: the default limit of the stored arguments of one job."""

_P = inspect.Parameter
_EMPTY = _P.empty
# Each argument may be nested as deep as a result; the object that holds them is one level more.
_LEVELS = MAX_DEPTH + 1
_VARIADIC = (_P.VAR_POSITIONAL, _P.VAR_KEYWORD)


class Parameters:
    """What a task can be called with. Built once per task with `of`, then used from any thread."""

    def __init__(self, task: str, signature: inspect.Signature, hints: Mapping[str, Any], max_bytes: int) -> None:
        self._task, self._whole, self._max_bytes = task, signature, max_bytes
        self._plans: dict[str, Plan] = {}
        self._stored: list[_P] = []
        self._signature = signature
        self._fast: FastForm | None = None
        self._result = hints.get("return", Any)
        self._former: frozenset[str] = frozenset()
        self.secrets: frozenset[str] = frozenset()
        """The parameters that have a `Secret` in them."""

    @classmethod
    def of(
        cls,
        function: Callable[..., Any],
        *,
        task: str | None = None,
        skip: frozenset[str] = frozenset(),
        max_bytes: int = MAX_ARGS_BYTES,
        former: frozenset[str] = frozenset(),
        lenient: bool = False,
    ) -> Parameters:
        """The parameters of `function`, without those named in `skip`, which the worker passes itself.

        Stored values of `former` parameters, which it has no more, are left out when a call is loaded.

        With `lenient` the types that have no form of JSON are taken too, for who stores them otherwise.

        Raises `InvalidTask` for methods, for annotations that do not exist at run time, and for required
        parameters of a type that cannot be stored.
        """
        name = task or str(getattr(function, "__qualname__", function))
        refuse_methods(function, name)
        hints = hints_of(function)
        parameters = cls(name, inspect.signature(function), hints, max_bytes)
        parameters._read(hints, skip, lenient)
        parameters._former = former - set(parameters.names)
        return parameters

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the parameters that are stored, in order."""
        return tuple(parameter.name for parameter in self._stored)

    @property
    def returns(self) -> Any:
        """The return annotation; `Any` when there is none or it does not exist at run time."""
        return Any if isinstance(self._result, str) else self._result

    @property
    def secret(self) -> bool:
        """Whether there is a `Secret` in any parameter."""
        return bool(self.secrets)

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], box: Box | None = None) -> str:
        """The stored text of a call; `box` encrypts what is secret in it.

        Raises `InvalidArgument`, `NotSerializable` or `TooLarge` (`max_bytes`, as UTF-8), and what the box raises.
        """
        text = self._fast.write(args, kwargs) if self._fast is not None else None
        if text is None:
            text = self._write(args, kwargs, box)
        if len(text) > self._max_bytes:
            raise TooLarge(
                f"task {self._task!r}: the arguments",
                len(text),
                self._max_bytes,
                "Store the data and pass its id or path, or raise max_args_bytes",
            )
        return text.decode()

    def load(
        self, text: str, injected: Mapping[str, Any] | None = None, box: Box | None = None
    ) -> tuple[list[Any], dict[str, Any]]:
        """What to call the function with; `injected` are the values of the skipped parameters, `box` opens secrets.

        Raises `DecodeError` (`SignatureChanged` when it was stored for other parameters), and nothing else, for
        any text.
        """
        named = self._fast.read(text) if self._fast is not None else None
        if named is not None:
            if injected:
                named.update(injected)
            return [], named
        try:
            return self._arrange(self._unpack(self.opened(json_text.read(text, _LEVELS), box)), injected or {})
        except Misfit as misfit:
            error = SignatureChanged if isinstance(misfit, Unfitting) else DecodeError
            raise error(f"arguments of task {self._task!r}", misfit.sentence()) from misfit
        except Exception as error:
            raise DecodeError(f"arguments of task {self._task!r}", f"{type(error).__name__}: {error}") from error

    def named(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of a call by parameter name, defaults included; raises `InvalidArgument`."""
        bound = self._bound(args, kwargs)
        bound.apply_defaults()
        return dict(bound.arguments)

    def given(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of a call by parameter name, as they are; raises `InvalidArgument`."""
        return dict(self._bound(args, kwargs).arguments)

    def arranged(self, given: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """What to call the function with, from what `given` gave. Raises `SignatureChanged`."""
        try:
            return self._arrange(self._fitting(given), {})
        except Misfit as misfit:
            raise SignatureChanged(f"arguments of task {self._task!r}", misfit.sentence()) from misfit

    def guarded(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The same call of the function with a `Secret` where a parameter is one and got its value plainly."""
        if not self.secret:
            return args, kwargs
        try:
            bound = self._whole.bind(*args, **kwargs)
        except TypeError:
            # The call itself says what is wrong with it.
            return args, kwargs
        for name in self.secrets & bound.arguments.keys():
            bound.arguments[name] = self.guarded_one(name, bound.arguments[name])
        return bound.args, bound.kwargs

    def guarded_one(self, name: str, value: Any) -> Any:
        """The same of a single argument."""
        return self._each(name, value, wrapped)

    def opened(self, stored: Any, box: Box | None) -> Any:
        """Arguments in their stored form, with what is secret in them opened as far as the box can."""
        return stored if box is None or not self.secret else opened(stored, box)

    def rebound(self, text: str, box: Box | None = None) -> str:
        """The stored form of a call that a person wrote as JSON. Raises `InvalidArgument` and `TooLarge`."""
        try:
            args, kwargs = self.load(text, box=box)
        except DecodeError as error:
            raise InvalidArgument(self._task, "*", Hidden(text), error.problem, "Correct the JSON") from error
        return self.bind(tuple(args), kwargs, box)

    def no_call(self, given: object, spelled: str) -> InvalidArgument:
        """The error about what should be the arguments of a call, and is neither a tuple nor a dict."""
        shown = Hidden(given) if self.secret else given
        problem = "is neither a tuple nor a dict of arguments"
        return InvalidArgument(self._task, "*", shown, problem, f"Write {spelled.format(f'{shown!r:.40}')}")

    def unpack_one(self, name: str, stored: Any) -> Any:
        """The value of one parameter. Raises `Misfit`."""
        return self._unpack_one(self._plans[name], self._signature.parameters[name].kind, stored)

    def required(self, name: str) -> bool:
        """Whether a call needs a value for that parameter."""
        parameter = self._signature.parameters[name]
        return parameter.default is _EMPTY and parameter.kind not in _VARIADIC

    def schema(self) -> dict[str, Any]:
        """The JSON schema (2020-12) of the stored arguments."""
        defs: dict[str, Any] = {}
        properties = {parameter.name: self._schema_of(parameter, defs) for parameter in self._stored}
        required = [name for name in self.names if self.required(name)]
        shape = {
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": False,
        }
        return {**shape, "$defs": defs} if defs else shape

    def _read(self, hints: Mapping[str, Any], skip: frozenset[str], lenient: bool) -> None:
        self._stored = [p for p in self._whole.parameters.values() if p.name not in skip]
        self._signature = inspect.Signature(self._stored)
        for parameter in self._stored:
            try:
                self._plans[parameter.name] = self._plan(parameter, hints.get(parameter.name, Any))
            except InvalidTask:
                if not lenient:
                    raise
                self._plans[parameter.name] = plan_for(Any)
        self.secrets = frozenset(name for name, plan in self._plans.items() if plan.secret)
        self._fast = fast_form(self._stored, self._plans)

    def _plan(self, parameter: _P, hint: Any) -> Plan:
        if isinstance(hint, str):
            raise InvalidTask(
                self._task,
                f"the annotation {hint!r} of parameter {parameter.name!r} does not exist at run time",
                "Import it at module level, not under TYPE_CHECKING",
            )
        if typing.get_origin(hint) is typing.Unpack and parameter.kind is _P.VAR_KEYWORD:
            hint = Any
        plan = plan_for(hint)
        if not plan.usable and parameter.default is _EMPTY and parameter.kind not in _VARIADIC:
            problem = getattr(plan, "problem", "cannot be stored")
            raise InvalidTask(
                self._task, f"parameter {parameter.name!r}: {problem}", "Pass an id and load it in the task"
            )
        default = parameter.default
        if default is not _EMPTY and default is not None and wrapped(plan, default) is not default:
            raise InvalidTask(
                self._task, f"the default of parameter {parameter.name!r} is no Secret", "Write Secret(...)"
            )
        return plan

    def _write(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], box: Box | None) -> bytes:
        packed: dict[str, Any] = {}
        arguments = self._bound(args, kwargs).arguments
        for name, value in arguments.items():
            try:
                packed[name] = self._each(name, value, _pack)
                if name in self.secrets:
                    packed[name] = closed(packed[name], box, f"/{name}")
            except RecursionError as error:
                raise self._refuse(name, value, json_text.too_deep()) from error
            except Misfit as misfit:
                raise self._refuse(name, value, misfit) from misfit.__cause__
        try:
            return json_text.write(packed, _LEVELS)
        except Misfit as whole:
            for name, value in arguments.items():
                try:
                    json_text.write(packed[name])
                except Misfit as misfit:
                    raise self._refuse(name, value, misfit) from misfit.__cause__
            raise NotSerializable(
                f"task {self._task!r}: the call", Hidden(packed), whole.problem, whole.remedy
            ) from whole

    def _each(self, name: str, value: Any, turn: Callable[[Plan, Any], Any]) -> Any:
        """What the plan of a parameter makes of its value, or of each that a variadic one has."""
        plan, kind = self._plans[name], self._signature.parameters[name].kind
        if kind is _P.VAR_POSITIONAL:
            return [turn(plan, item) for item in value]
        if kind is _P.VAR_KEYWORD:
            return {key: turn(plan, item) for key, item in value.items()}
        return turn(plan, value)

    def _refuse(self, name: str, value: Any, misfit: Misfit) -> Exception:
        # Of two arguments that were mixed up, each may be the other one.
        shown = Hidden(value) if self.secret or is_sensitive(name) else value
        if misfit.unstorable:
            what = f"task {self._task!r}, parameter {name!r}"
            remedy = misfit.remedy.replace("Annotate it with", f"Annotate the parameter {name!r} with")
            return NotSerializable(what, shown, misfit.sentence(), remedy)
        return InvalidArgument(self._task, name, shown, misfit.sentence(), misfit.remedy)

    def _bound(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> inspect.BoundArguments:
        unknown = [key for key in kwargs if key in self._whole.parameters and key not in self._plans]
        if unknown:
            shown = Hidden(kwargs[unknown[0]]) if self.secret else kwargs[unknown[0]]
            raise InvalidArgument(self._task, unknown[0], shown, "is passed by the worker", "Leave it out")
        try:
            return self._signature.bind(*args, **kwargs)
        except TypeError as error:
            raise explain(self._task, self._stored, args, kwargs, error, hidden=self.secret) from None

    def _unpack(self, stored: Any) -> dict[str, Any]:
        if type(stored) is not dict:
            raise Misfit("is no object of arguments by name")
        named: dict[str, Any] = {}
        for name, item in self._fitting(stored).items():
            try:
                named[name] = self.unpack_one(name, item)
            except Misfit as misfit:
                raise misfit.at(f".{name}", name) from misfit.__cause__
        return named

    def _fitting(self, stored: Mapping[str, Any]) -> dict[str, Any]:
        """What was stored for the parameters that there are; raises `Unfitting` when those are others."""
        found = {name: item for name, item in stored.items() if name not in self._former}
        for name in found:
            if name not in self._plans:
                raise Unfitting(f"it has no parameter {name!r:.40} any more")
        for p in self._stored:
            if self.required(p.name) and p.name not in found:
                raise Unfitting(f"the call has nothing for its parameter {p.name!r}")
        return found

    def _unpack_one(self, plan: Plan, kind: Any, item: Any) -> Any:
        if kind is _P.VAR_POSITIONAL:
            if type(item) is not list:
                raise Misfit("needs an array")
            return [plan.unpack(each) for each in item]
        if kind is _P.VAR_KEYWORD:
            if type(item) is not dict:
                raise Misfit("needs an object")
            taken = item.keys() & {p.name for p in self._whole.parameters.values() if p.kind is not _P.POSITIONAL_ONLY}
            if taken - {p.name for p in self._whole.parameters.values() if p.kind in _VARIADIC}:
                raise Misfit(f"holds {min(taken)!r}, which is a parameter of its own")
            return {key: plan.unpack(each) for key, each in item.items()}
        return plan.unpack(item)

    def _arrange(self, named: dict[str, Any], injected: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Positional where the signature, or a non-empty *args, needs it; by keyword otherwise."""
        values = {**named, **injected}
        parameters = list(self._whole.parameters.values())
        spread = any(p.kind is _P.VAR_POSITIONAL and values.get(p.name) for p in parameters)
        args: list[Any] = []
        kwargs: dict[str, Any] = {}
        for p in parameters:
            if p.kind is _P.VAR_POSITIONAL:
                args.extend(values.get(p.name, ()))
            elif p.kind is _P.VAR_KEYWORD:
                kwargs.update(values.get(p.name, {}))
            elif p.kind is _P.POSITIONAL_ONLY or (spread and p.kind is _P.POSITIONAL_OR_KEYWORD):
                args.append(values.get(p.name, p.default))
            elif p.name in values:
                kwargs[p.name] = values[p.name]
        return args, kwargs

    def _schema_of(self, parameter: _P, defs: dict[str, Any]) -> dict[str, Any]:
        shape = self._plans[parameter.name].schema(defs)
        if parameter.kind is _P.VAR_POSITIONAL:
            return {"type": "array", "items": shape}
        if parameter.kind is _P.VAR_KEYWORD:
            return {"type": "object", "additionalProperties": shape}
        return shape


def _pack(plan: Plan, value: Any) -> Any:
    return plan.pack(value)
