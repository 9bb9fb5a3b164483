"""`BackgroundActions`: actions of the admin that become jobs when many records are selected."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from html import unescape
from typing import Any

from django.apps import apps
from django.contrib import messages
from django.contrib.admin.exceptions import NotRegistered
from django.contrib.admin.sites import all_sites
from django.contrib.admin.utils import model_format_dict
from django.contrib.auth import get_user_model
from django.contrib.messages import constants as levels
from django.db import transaction
from django.http import HttpRequest, QueryDict
from django.urls import reverse
from django.utils.html import format_html, strip_tags

from backburner.backburner import Backburner
from backburner.context import JobContext
from backburner.contrib.django.project import project_jobs
from backburner.contrib.django.shortcuts import job_address
from backburner.contrib.django.visitor import VIEW
from backburner.job import Job
from backburner.outcome import PermanentError
from backburner.task import Task, declare
from backburner.web.words import number

TASK = "backburner.admin_action"
_NOT_THE_FORM = ("csrfmiddlewaretoken", "action", "index", "select_across", "_selected_action")


@dataclass(frozen=True)
class Selected:
    """Keys of records: whole numbers in a row are kept as their first and last, all others as texts."""

    single: list[str]
    ranges: list[tuple[int, int]]

    def keys(self) -> list[Any]:
        """All of them."""
        return [*self.single, *(key for first, last in self.ranges for key in range(first, last + 1))]


class BackgroundActions:
    """A mixin for a `ModelAdmin`: its `background_actions` become jobs above `background_threshold` records.

    Up to that many the action runs at once, as always. In a job the same method is called with up to `background_batch`
    records at a time, each batch in a transaction of its own, so that there is a bar, and a cancel between two batches.
    What it says with `message_user` is kept with the job.

        class ProductAdmin(BackgroundActions, admin.ModelAdmin):
            actions = ["publish"]
            background_actions = ["publish", "delete_selected"]
    """

    background_actions: Sequence[str] = ()
    background_threshold: int = 100
    background_batch: int = 100

    def runs_in_background(self, request: HttpRequest, action: str, count: int) -> bool:
        """Whether this one becomes a job. A deletion that has not been confirmed shows the page that asks."""
        if action == "delete_selected" and not request.POST.get("post"):
            return False
        return count > self.background_threshold

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """As any other admin's, with those of `background_actions` deciding when they are called."""
        found: dict[str, Any] = super().get_actions(request)  # type: ignore[misc]
        return {
            name: (self._deciding(function, name, label) if name in self.background_actions else function, name, label)
            for name, (function, _, label) in found.items()
        }

    def _deciding(self, function: Callable[..., Any], name: str, label: str) -> Callable[..., Any]:
        @wraps(function)
        def decide(model_admin: Any, request: HttpRequest, queryset: Any) -> Any:
            if isinstance(request, _OfJob):
                # Decided: this is the background. So nothing is taken off that others have put around it.
                return function(model_admin, request, queryset)
            count = queryset.count()
            if not self.runs_in_background(request, name, count):
                return function(model_admin, request, queryset)
            keys = list(queryset.order_by("pk").values_list("pk", flat=True))
            notice_of_action(request, _enqueued(model_admin, request, name, _titled(model_admin, label, count), keys))
            return None

        return decide


def notice_of_action(request: HttpRequest, job: Job) -> None:
    """Tell that it goes on in the background, with links to the job, and to the list of those who may see it."""
    person: Any = request.user
    link = format_html('<a href="{}">{}</a>', job_address(job, "/wait"), f"job …{job.id[-4:]}")
    text = format_html("{} runs in the background: {}.", job.name, link)
    if person.has_perm(VIEW):
        text = format_html('{} <a href="{}">See all jobs</a>', text, reverse("admin:backburner_job_changelist"))
    messages.info(request, text)


def action_task(jobs: Backburner) -> Task[..., Any]:
    """The task that runs actions; every process of the project knows it. Not listed: no form may name its person."""
    found = jobs.registry.get(TASK)
    if found is None:
        found = declare(run_action, jobs._enqueuer, {"name": TASK})
        jobs.registry.add(found, listed=False)
    return found


def run_action(
    site: str, model: str, action: str, selected: Selected, person: str, form: list[tuple[str, list[str]]],
    job: JobContext,
) -> None:  # fmt: skip
    """Run an action as the person who has asked for it. Fails when that person may not any more."""
    model_admin, user = _admin_of(site, model), _person(person)
    request = _request(user, form, _Told(job))
    found = model_admin.get_actions(request).get(action) if model_admin.admin_site.has_permission(request) else None
    if found is None:
        raise PermanentError(f"{user} may not do this any more, or the action is gone.")
    keys, size = selected.keys(), max(1, model_admin.background_batch)
    begin = int(job.last_checkpoint or 0)
    job.expect(len(keys), str(model_admin.opts.verbose_name_plural))
    job.advance(begin)
    for start in range(begin, len(keys), size):
        batch = keys[start : start + size]
        with transaction.atomic():
            answer = found[0](model_admin, request, model_admin.get_queryset(request).filter(pk__in=batch))
        if answer is not None:
            raise PermanentError("The action answered with a page, and nobody sees one in the background.")
        job.checkpoint(start + len(batch))
        job.advance(len(batch))
    job.message(f"Done for {number(len(keys))} {model_admin.opts.verbose_name_plural}.", "success")


def selected_of(keys: Sequence[Any]) -> Selected:
    """Keys in a form that is short when they are numbers in a row."""
    single: list[str] = []
    ranges: list[tuple[int, int]] = []
    for key in keys:
        if not isinstance(key, int):
            single.append(str(key))
        elif ranges and key == ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], key)
        else:
            ranges.append((key, key))
    return Selected(single, ranges)


class _OfJob(HttpRequest):
    """What an action takes, in a job, for the request that asked for it."""


class _Told:
    """Stands where a request keeps its messages: what an action says goes to the job."""

    def __init__(self, job: JobContext) -> None:
        self._job = job

    def add(self, level: int, message: object, extra_tags: str = "") -> None:
        text = unescape(strip_tags(str(message))) if hasattr(message, "__html__") else str(message)
        if level >= levels.WARNING:
            self._job.message(text, "error" if level >= levels.ERROR else "warning")
        else:
            # Each batch says its own: that is output.
            self._job.log(text)


def _enqueued(model_admin: Any, request: HttpRequest, action: str, title: str, keys: list[Any]) -> Job:
    person: Any = request.user
    form = [(name, values) for name, values in request.POST.lists() if name not in _NOT_THE_FORM]
    task = action_task(project_jobs()).options(owner=str(person.pk), title=title)
    site, model = model_admin.admin_site.name, model_admin.opts.label
    return task.enqueue(site, model, action, selected_of(keys), str(person.pk), form)


def _titled(model_admin: Any, label: str, count: int) -> str:
    plural = model_admin.opts.verbose_name_plural
    return f"{str(label) % model_format_dict(model_admin.opts)} ({number(count)} {plural})"[:200]


def _admin_of(site: str, model: str) -> Any:
    found = next((one for one in all_sites if one.name == site), None)
    try:
        model_admin = found.get_model_admin(apps.get_model(model)) if found is not None else None
    except (LookupError, NotRegistered):
        model_admin = None
    if not isinstance(model_admin, BackgroundActions):
        raise PermanentError(f"The admin {site} has no {model} with actions in the background any more.")
    return model_admin


def _person(key: str) -> Any:
    users = get_user_model()
    try:
        person = users._default_manager.get(pk=key)
    except (users.DoesNotExist, ValueError) as error:
        raise PermanentError("The person who asked for it is gone.") from error
    if not person.is_active:
        raise PermanentError(f"{person} is not active any more.")
    return person


def _request(person: Any, form: list[tuple[str, list[str]]], told: _Told) -> HttpRequest:
    request: Any = _OfJob()
    request.method, request.user, request._messages = "POST", person, told
    request.META = {"SERVER_NAME": "localhost", "SERVER_PORT": "80"}
    request.POST = QueryDict(mutable=True)
    for name, values in form:
        request.POST.setlist(name, values)
    found: HttpRequest = request
    return found
