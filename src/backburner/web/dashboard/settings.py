"""`SettingsPage`: what may be changed while everything runs, and what would follow from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from backburner.errors import InvalidOption, SettingsError
from backburner.insight.runtime import RuntimeSetting
from backburner.settings import masked
from backburner.states import JobState
from backburner.web import words
from backburner.web.access import Visitor
from backburner.web.dashboard.form import fields_of
from backburner.web.dashboard.frame import Frame, Said
from backburner.web.problems import forbidden, not_found
from backburner.web.rights import Permission
from backburner.web.site import Site

_DAY = 86_400.0
_KEEP = "keep_"
_KEPT_STATES = {f"{_KEEP}{state}": state for state in JobState if state.final}
_MOST_TEXT = 200


@dataclass(frozen=True, slots=True)
class Knob:
    """One setting as it is shown. `text` is the value in the field: of `keep_*` in days."""

    setting: RuntimeSetting
    text: str
    shown: str
    kind: str
    preview: str = ""
    problem: str = ""

    @property
    def help(self) -> str:
        """What it is for, in the unit of the field."""
        return self.setting.help.replace(", seconds; 0:", ", days; 0:") if self.kind == "days" else self.setting.help

    @property
    def said(self) -> bool:
        """Whether it was said here, and could be taken back."""
        return self.setting.source == "database"


class SettingsPage:
    """`/dashboard/settings`, and the forms on it."""

    def __init__(self, site: Site, frame: Frame) -> None:
        self._site, self._frame = site, frame

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter()
        router.add_api_route("/dashboard/settings", self.settings, methods=["GET"])
        router.add_api_route("/dashboard/settings/{name}/{verb}", self.act, methods=["POST"])
        return router

    async def settings(self, request: Request) -> Response:
        """All of them; what an address previews is shown beside its setting."""
        visitor = await self._everywhere(request)
        name, text = request.query_params.get("preview", ""), request.query_params.get("value", "")
        return await run_in_threadpool(self._page, request, visitor, name, text[:_MOST_TEXT], "")

    async def act(self, request: Request, name: str, verb: str) -> Response:
        """Say one, or restore what the app says."""
        visitor = await self._everywhere(request)
        given = await fields_of(request)
        return await run_in_threadpool(self._act, request, visitor, name, verb, given.get("value", "").strip())

    async def _everywhere(self, request: Request) -> Visitor:
        visitor = await self._site.access.allowed(request, Permission.SETTINGS_EDIT)
        if not visitor.rights.everywhere(Permission.SETTINGS_EDIT):
            raise forbidden("Settings are for everything: this needs settings.edit without limits.")
        return visitor

    def _act(self, request: Request, visitor: Visitor, name: str, verb: str, text: str) -> Response:
        operator = self._site.operator(visitor)
        acts: dict[str, Callable[[], object]] = {
            "say": lambda: operator.say(name, _value(name, text)),
            "restore": lambda: operator.restore(name),
        }
        if verb not in acts:
            raise not_found()
        try:
            acts[verb]()
        except InvalidOption as error:
            raise not_found() from error
        except (SettingsError, ValueError) as error:
            problem = f"It {error.problem}. {error.remedy}." if isinstance(error, SettingsError) else f"{error}."
            return self._page(request, visitor, name, text[:_MOST_TEXT], problem)
        said = (
            f"{name} is set. Workers follow within ten seconds."
            if verb == "say"
            else f"{name} is what the app says again."
        )
        return self._frame.back(request, "/settings", Said(said))

    def _page(self, request: Request, visitor: Visitor, name: str, text: str, problem: str) -> Response:
        knobs = [
            self._knob(one, text if one.name == name else None, problem)
            for one in self._site.jobs.insight.runtime.list()
        ]
        own = self._site.jobs.settings
        fixed = [
            (
                knob,
                words.number(value) if isinstance(value, int | float) and not isinstance(value, bool) else str(value),
            )
            for knob in (
                "url",
                "concurrency",
                "lease",
                "beat",
                "poll",
                "grace",
                "max_crashes",
                "max_losses",
                "queues",
                "broker",
            )
            if (value := masked(knob, getattr(own, knob))) is not None
        ]
        return self._frame.page(
            request,
            visitor,
            "settings.html",
            422 if problem else 200,
            title="Settings",
            knobs=knobs,
            fixed=fixed,
            now=self._site.control.now(),
        )

    def _knob(self, setting: RuntimeSetting, typed: str | None, problem: str) -> Knob:
        value, name = setting.value, setting.name
        kind = "yes" if isinstance(value, bool) else "days" if name.startswith(_KEEP) else "text"
        shown = _shown(kind, value)
        if kind == "yes":
            text = "true" if value else "false"
        else:
            text = _days(value) if kind == "days" else str(value or "")
        preview = ""
        if typed is not None:
            text = typed
            if not problem and name in _KEPT_STATES:
                preview = self._preview(name, typed)
        return Knob(setting, text, shown, kind, preview, problem if typed is not None else "")

    def _preview(self, name: str, typed: str) -> str:
        try:
            count = self._site.jobs.insight.runtime.preview(_KEPT_STATES[name], _seconds(typed))
        except (InvalidOption, ValueError, OverflowError):
            return "This is no number of days."
        state = _KEPT_STATES[name]
        if not count:
            return f"No {state} job would be deleted now."
        jobs = "1 job" if count == 1 else f"{words.capped(count)} jobs"
        return f"{jobs} that {'is' if count == 1 else 'are'} {state} would be deleted with it, for good."


def _value(name: str, text: str) -> object:
    """What was typed, as the setting's value. Raises `ValueError`."""
    if name.startswith(_KEEP):
        return _seconds(text)
    if name == "cleaning":
        if text not in ("true", "false"):
            raise ValueError("It is neither true nor false")
        return text == "true"
    return text or None


def _seconds(text: str) -> float:
    """So many days. Raises `ValueError`."""
    try:
        return float(text.replace(",", ".")) * _DAY
    except ValueError as error:
        raise ValueError("It is no number of days") from error


def _days(seconds: float) -> str:
    return f"{seconds / _DAY:.4f}".rstrip("0").rstrip(".")


def _shown(kind: str, value: object) -> str:
    if kind == "yes":
        return "yes" if value else "no"
    if kind == "days" and isinstance(value, int | float):
        return "for ever" if not value else f"{_days(value)} days"
    return str(value) if value else "not set"
