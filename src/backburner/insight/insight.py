"""`Insight`: the door for dashboards and command lines; each look has a price that does not grow with the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.insight.audit import Audit
from backburner.insight.charts import Charts
from backburner.insight.completion import Completion, Suggestions
from backburner.insight.failures import Failures
from backburner.insight.marks import Marks
from backburner.insight.operations import Operations
from backburner.insight.operator import Operator, Tools
from backburner.insight.overview import Overview
from backburner.insight.runtime import Runtime
from backburner.insight.tasks import Tasks
from backburner.insight.views import Views

if TYPE_CHECKING:
    from backburner.control import Control
    from backburner.database import Database
    from backburner.ids import Ids
    from backburner.queues import Queues
    from backburner.registry import Registry
    from backburner.schedules import Schedules
    from backburner.workers import Workers


class Insight:
    """`jobs.insight`: failures, charts, overview, audit, settings at run time, saved views, and what operators do."""

    def __init__(
        self, database: Database, registry: Registry, ids: Ids, control: Control, queues: Queues, workers: Workers,
        schedules: Schedules, operations: Operations,
    ) -> None:  # fmt: skip
        self.failures: Failures = Failures(database, control)
        self.charts: Charts = Charts(database)
        self.audit: Audit = Audit(database, ids)
        self.marks: Marks = Marks(self.audit)
        self.runtime: Runtime = Runtime(database)
        self.views: Views = Views(database, ids)
        self.overview: Overview = Overview(database, control, queues, workers, schedules, self.charts)
        self.tasks: Tasks = Tasks(registry, self.charts)
        self.operations: Operations = operations
        self._tools = Tools(control, queues, workers, schedules, self)
        self._suggestions = Suggestions(database, registry, control)

    def operator(self, by: str, via: str = "code") -> Operator:
        """Act as somebody: all that is done through it is in the audit. `via` is dashboard, http, cli or code."""
        return Operator(by, via, self._tools)

    def complete(self, text: str, cursor: int) -> Completion:
        """What may stand at this place of a filter."""
        return self._suggestions.at(text, cursor)
