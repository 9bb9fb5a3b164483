"""`Runtime`: settings that operators change while everything runs."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from backburner.errors import InvalidOption, SettingsError
from backburner.settings import Settings, describe, source_of
from backburner.states import FINAL, JobState

if TYPE_CHECKING:
    from backburner.database import Database
    from backburner.store.runtime import RuntimeRow

log = logging.getLogger(__name__)

CHANGEABLE = (
    "cleaning", "clean_cron", "keep_succeeded", "keep_skipped", "keep_failed", "keep_cancelled", "keep_interrupted",
    "keep_audit", "run_cron", "cron_zone",
)  # fmt: skip
"""Settings that may be said at run time. Queues are paused by `jobs.queues`."""
PREVIEWED = 10_000
DATABASE = "database"


@dataclass(frozen=True, slots=True)
class RuntimeSetting:
    """One setting: its value now, who says so, and what it would be without the database.

    `source` is "database", or where the app's own value comes from. `at` and `by` only with "database".
    """

    name: str
    value: Any
    source: str
    app_value: Any
    help: str
    at: datetime | None = None
    by: str | None = None


class Runtime:
    """What is said here goes before what the app says, for all workers, from their next look on (ten seconds)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list(self) -> list[RuntimeSetting]:
        """Every setting that may be said at run time."""
        said, own = self._database.store.runtime.all(), self._database.settings
        helps = {name: text for name, _, _, text in describe()}
        found = []
        for name in CHANGEABLE:
            app_value, row = getattr(own, name), said.get(name)
            if row is None:
                source = "default" if app_value == _DEFAULTS[name] else source_of(name, app_value)
                found.append(RuntimeSetting(name, app_value, source, app_value, helps[name]))
            else:
                found.append(RuntimeSetting(name, row.value, DATABASE, app_value, helps[name], row.at, row.by))
        return found

    def settings(self) -> Settings:
        """The settings of the app with what was said at run time; what does not fit any more is left out."""
        return effective(self._database.settings, self._database.store.runtime.all())

    def say(self, name: str, value: Any, by: str | None = None) -> RuntimeSetting:
        """Say a setting. Raises `SettingsError` and `InvalidOption`."""
        checked = getattr(with_value(self._database.settings, _known(name), value), name)
        self._database.store.runtime.say(name, checked, by)
        return next(one for one in self.list() if one.name == name)

    def restore(self, name: str) -> RuntimeSetting:
        """Take a setting back: what the app says holds again. Raises `InvalidOption`."""
        self._database.store.runtime.unsay(_known(name))
        return next(one for one in self.list() if one.name == name)

    def preview(self, state: JobState | str, keep: float) -> int:
        """How many jobs would go if those that ended in this state were kept so many seconds; 10,000 means or more.

        0 keeps all. Raises `InvalidOption`.
        """
        if state not in FINAL:
            raise InvalidOption("state", state, "is no final state", f"Use {', '.join(sorted(FINAL))}")
        if not keep:
            return 0
        return self._database.store.upkeep.prunable(JobState(state), keep, PREVIEWED)


_DEFAULTS = {knob.name: knob.default for knob in dataclasses.fields(Settings)}


def effective(own: Settings, said: Mapping[str, RuntimeRow]) -> Settings:
    """The app's settings with what was said at run time in its place."""
    found = own
    for name, row in said.items():
        if name not in CHANGEABLE:
            continue
        try:
            found = with_value(found, name, row.value)
        except SettingsError as error:
            # Another release said it, or somebody else wrote it.
            log.warning("a setting of the database is left out: %s", error)
    return found


def with_value(own: Settings, name: str, value: Any) -> Settings:
    """The settings with one changed. Raises `SettingsError`, which names the database as its source."""
    try:
        return dataclasses.replace(own, **{name: value})
    except SettingsError as error:
        raise SettingsError(error.setting, error.value, error.problem, error.remedy, DATABASE) from error


def _known(name: str) -> str:
    if name not in CHANGEABLE:
        remedy = f"At run time: {', '.join(CHANGEABLE)}; queues are paused with backburner queues pause"
        raise InvalidOption("setting", name, "is none that is said at run time", remedy)
    return name
