"""`OverviewPage`: is it well, and if not, where to look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from backburner.errors import InvalidOption
from backburner.insight.charts import RANGES
from backburner.insight.insight import Insight
from backburner.insight.overview import Attention, Figures
from backburner.web import words
from backburner.web.access import Visitor
from backburner.web.dashboard.chart import Chart, chart_of, spark
from backburner.web.dashboard.form import fields_of
from backburner.web.dashboard.frame import Frame, Said
from backburner.web.dashboard.row import row_of
from backburner.web.problems import forbidden, invalid
from backburner.web.rights import Permission
from backburner.web.site import Site
from backburner.where import quoted

OLDEST_SECONDS = 600
"""A job that has waited so long is trouble."""
NONE = "\N{EN DASH}"
"""Where a number is expected, and there is none."""
FAILED_SHARE, FAILED_LEAST = 0.005, 5
"""So large a share of what ended, and so many, is trouble."""
_ICONS = {"unserved": "warning", "failing": "failed", "silent": "pulse", "paused": "pause", "late": "calendar"}


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure at the top. `bad` ones stand out."""

    name: str
    value: str
    unit: str
    text: str
    bad: bool = False


@dataclass(frozen=True, slots=True)
class Need:
    """One thing that needs somebody, and the button for it."""

    attention: Attention
    icon: str
    button: str
    href: str
    resumes: bool = False


class OverviewPage:
    """`/dashboard/overview`."""

    def __init__(self, site: Site, frame: Frame) -> None:
        self._site, self._frame = site, frame

    def router(self) -> APIRouter:
        """The route."""
        router = APIRouter()
        router.add_api_route("/dashboard/overview", self.overview, methods=["GET"])
        router.add_api_route("/dashboard/notes", self.note, methods=["POST"])
        return router

    async def overview(self, request: Request) -> Response:
        """The figures, the chart, what needs attention, queues, and what has been running longest."""
        visitor = await self._site.access.allowed(request, Permission.JOBS_VIEW)
        chosen = request.query_params.get("range", "1h")
        if chosen not in RANGES:
            raise invalid("range", f"Use one of {', '.join(RANGES)}.")
        return await run_in_threadpool(self._page, request, visitor, chosen)

    async def note(self, request: Request) -> Response:
        """Say what happened just now."""
        visitor = await self._site.access.allowed(request, Permission.NOTES_ADD)
        if not visitor.rights.everywhere(Permission.NOTES_ADD):
            raise forbidden("A note is for everybody: this needs notes.add without limits.")
        text = (await fields_of(request)).get("text", "")
        try:
            await run_in_threadpool(self._site.operator(visitor).note, text)
        except InvalidOption as error:
            raise invalid("text", f"{error.problem}. {error.remedy}") from error
        return self._frame.back(request, "/overview", Said("The note is in the chart."))

    def _page(self, request: Request, visitor: Visitor, chosen: str) -> Response:
        insight, now = self._site.jobs.insight, self._site.control.now()
        lines = insight.overview.queues()
        # Figures are of everything: who may see some jobs alone gets none.
        whole = visitor.rights.everywhere(Permission.JOBS_VIEW)
        longest = [row_of(job, now) for job in insight.overview.longest() if visitor.allows(Permission.JOBS_VIEW, job)]
        return self._frame.page(
            request,
            visitor,
            "overview.html",
            title="Overview",
            now=now,
            range=chosen,
            ranges=list(RANGES),
            figures=figures_of(insight.overview.figures(lines)) if whole else (),
            chart=_chart(insight, chosen) if whole else None,
            needs=[_need(one) for one in insight.overview.attention(lines)] if whole else (),
            lines=lines if whole else (),
            spark=spark,
            longest=longest,
        )


def _chart(insight: Insight, chosen: str) -> Chart:
    series = insight.charts.series(chosen)
    return chart_of(series, insight.marks.since(series.since))


def figures_of(found: Figures) -> Sequence[Figure]:
    """The figures in words; those past a threshold are bad."""
    hour, before = found.hour, found.before
    ended = hour.finished + hour.retried
    share = (hour.failed + hour.retried) / ended if ended else 0.0
    was = before.failed / (before.finished or 1)
    oldest = words.span(found.oldest) if found.oldest is not None else NONE
    paused = (
        f"{words.number(found.queued_paused)} in a paused queue" if found.queued_paused else "none in a paused queue"
    )
    wait, wait_before = hour.wait_p95, before.wait_p95
    return (
        Figure("Queued", words.number(found.queued), "", paused),
        Figure(
            "Oldest waiting",
            oldest,
            "",
            f"in {found.oldest_in}" if found.oldest_in else "nothing waits",
            bad=(found.oldest or 0) > OLDEST_SECONDS,
        ),
        Figure(
            "Running",
            words.number(found.running),
            f"of {words.number(found.slots)} slots",
            f"{_count(found.workers, 'worker')} on {_count(found.hosts, 'host')}",
            bad=found.workers == 0 and found.queued > 0,
        ),
        Figure("Retrying", words.capped(found.retrying), "", "will run again by themselves"),
        Figure(
            "Failed, last hour",
            words.number(hour.failed),
            "",
            f"{share:.1%} of attempts, {was:.1%} failed before",
            bad=hour.failed >= FAILED_LEAST and share > FAILED_SHARE,
        ),
        Figure(
            "Finished",
            words.number(round(hour.finished / 60)),
            "a minute",
            f"{words.number(hour.finished)} in the last hour",
        ),
        Figure(
            "Wait, 95th percentile",
            NONE if wait is None else words.duration(wait),
            "",
            f"was {words.duration(wait_before)} before" if wait_before is not None else "",
        ),
    )


def _need(one: Attention) -> Need:
    query = {"failing": f"state:failed task:{quoted(one.subject)}", "unserved": "", "paused": ""}.get(one.kind, "")
    button, href = {
        "unserved": ("Show queue", "/queues"),
        "failing": ("Show failures", f"/failures?task={quote(one.subject, safe='')}" if query else "/failures"),
        "silent": ("Show job", f"/jobs/{one.subject}"),
        "paused": ("Resume", f"/queues/{quote(one.subject, safe='')}/resume"),
        "late": ("Show schedule", "/schedules"),
    }[one.kind]
    return Need(one, _ICONS[one.kind], button, href, resumes=one.kind == "paused")


def _count(number: int, what: str) -> str:
    return f"1 {what}" if number == 1 else f"{words.number(number)} {what}s"
