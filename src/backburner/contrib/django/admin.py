"""Jobs in Django's admin: a list with filters, each job, and what may be done with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import connections
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, path, reverse

from backburner.contrib.django.acting import VERBS, done_to, may_do
from backburner.contrib.django.listing import Listing, listing_of, row_of
from backburner.contrib.django.models import Job
from backburner.contrib.django.project import project_jobs
from backburner.contrib.django.shortcuts import job_address
from backburner.errors import BackburnerError, JobNotFound
from backburner.web import words

CHOSEN = "job"


@admin.register(Job)
class JobAdmin(admin.ModelAdmin):
    """Reads and acts through Backburner, page by page, at the same price however many jobs there are.

    Permissions are those of the model: view, change (cancel and retry), delete. Nobody adds a job here.
    """

    def get_urls(self) -> list[Any]:
        """The list and the page of a job; nothing else is there to be asked for."""
        return [
            path("", self._view(self.changelist_view), name="backburner_job_changelist"),
            path("<str:object_id>/change/", self._view(self.change_view), name="backburner_job_change"),
        ]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Jobs come from code."""
        return False

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """The list; or what a form on it asks for."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method == "POST":
            return self._acted(request, request.POST.getlist(CHOSEN), request.get_full_path())
        try:
            listing = listing_of(project_jobs(), request.GET)
        except BackburnerError as error:
            messages.error(request, str(error))
            listing = Listing()
        return self._page(
            request, "change_list.html", "Jobs", listing=listing,
            verbs=[verb for verb in VERBS if may_do(verb.name, request.user)], chosen=CHOSEN,
        )  # fmt: skip

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """One job, with its attempts and output; or what a button on it asks for."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        jobs = project_jobs()
        if request.method == "POST":
            back = request.get_full_path()
            return self._acted(request, [object_id], self._list() if request.POST.get("verb") == "delete" else back)
        try:
            details = jobs.control.show(object_id)
        except JobNotFound as error:
            raise Http404(f"There is no job {object_id}: unknown, or cleaned away.") from error
        job = details.job
        verbs = [verb for verb in VERBS if verb.fits(job) and may_do(verb.name, request.user)]
        return self._page(
            request, "job.html", row_of(job, jobs.control.now()).title, details=details, job=job,
            row=row_of(job, jobs.control.now()), verbs=verbs, live=_live(job), words=words,
            log="".join(line.text for line in details.log),
        )  # fmt: skip

    def _acted(self, request: HttpRequest, ids: list[str], back: str) -> HttpResponse:
        verb = next((verb for verb in VERBS if verb.name == request.POST.get("verb")), None)
        if verb is None or not ids:
            messages.warning(request, "Choose jobs, and what to do with them.")
            return HttpResponseRedirect(back)
        if not may_do(verb.name, request.user):
            raise PermissionDenied
        if verb.asks and "sure" not in request.POST:
            found = project_jobs().control.get_many(ids)
            now = project_jobs().control.now()
            rows = [row_of(job, now) for job in found.values()]
            return self._page(request, "confirm.html", "Are you sure?", rows=rows, verb=verb, chosen=CHOSEN, back=back)
        count, refused = done_to(project_jobs(), verb, ids, request.user)
        if count:
            told = f"{words.number(count)} job{'' if count == 1 else 's'} {verb.was}."
            messages.success(request, told)
        for sentence in refused:
            messages.warning(request, sentence)
        return HttpResponseRedirect(back)

    def _view(self, function: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        view: Any = self.admin_site.admin_view(function)
        # What is done to jobs is done on a connection of Backburner's own. With ATOMIC_REQUESTS that would wait for
        # the transaction of this request, which on SQLite has the only lock.
        view._non_atomic_requests = set(connections)
        return cast("Callable[..., HttpResponse]", view)

    def _list(self) -> str:
        return str(reverse("admin:backburner_job_changelist", current_app=self.admin_site.name))

    def _page(self, request: HttpRequest, template: str, title: str, **values: Any) -> HttpResponse:
        context = self.admin_site.each_context(request) | {"title": title, "opts": self.opts} | values
        request.current_app = self.admin_site.name
        return TemplateResponse(request, f"admin/backburner/job/{template}", context)


def _live(job: Any) -> str | None:
    """The script and the address by which the page follows the job, where the project serves the web side."""
    try:
        return job_address(job)
    except NoReverseMatch:
        return None
