"""S17: what an operator does is written down, with who it was; and it makes nobody else of whoever asked first."""

from backburner.web.contract import CONTRACT
from backburner.web.dashboard.routes import DASHBOARD
from tests.attack.apps import OPERATOR, OURS, App
from tests.attack.estate import Estate, form_of

BESIDE = {"/dashboard/views/{view_id}/remove"}
"""Its view is somebody else's, so that nothing is done."""


def test_s17_whatever_an_operator_changes_is_in_the_audit(app: App, estate: Estate) -> None:
    audit, unwritten, acts = estate.jobs.insight.audit, set(), 0
    for route in CONTRACT:
        if route.method == "GET":
            continue
        job, known = estate.another(), {row.id for row in audit.page(limit=200).rows}
        before = estate.rows()
        app.ask(route.method, estate.address(route, job), OPERATOR, OURS, form_of(estate, route))
        new = [row for row in audit.page(limit=200).rows if row.id not in known]
        via = "dashboard" if route in DASHBOARD else "http"
        # What is changed of one's own account is nobody else's business; there is none of that here.
        if estate.rows() != before:
            acts += 1
            if [(row.by, row.via) for row in new[:1]] != [(OPERATOR, via)]:
                unwritten.add(f"{route.method} {route.path}")
    assert unwritten == set()
    assert acts >= 15


def test_s17_who_retries_is_not_who_asked(app: App, estate: Estate) -> None:
    answer = app.ask("POST", f"/dashboard/jobs/{estate.failed.id}/retry", OPERATOR, OURS, {})
    assert answer.status == 303
    again = estate.failed.refresh()
    assert (again.state, again.owner) == ("queued", app.owner)
    [written] = estate.jobs.insight.audit.page(target=estate.failed.id).rows
    assert (written.by, written.action) == (OPERATOR, "retry")
    assert '"state": "failed"' in (written.before or "")
    assert '"state": "queued"' in (written.after or "")
