"""Pages of the shop."""

import time

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from backburner import current_job
from backburner.contrib.django import jobs
from backburner.contrib.django.shortcuts import notice, respond
from backburner.route_jobs import background_route
from examples.django_shop.catalog.tasks import export


def home(request: HttpRequest) -> HttpResponse:
    """The forms, and the jobs of who is signed in."""
    mine = jobs.find(owner=str(request.user.pk), limit=10) if request.user.is_authenticated else []
    return render(request, "catalog/home.html", {"mine": mine})


@require_POST
@login_required
def start_export(request: HttpRequest) -> HttpResponse:
    """Quick exports lead on at once; others to a page that waits."""
    with transaction.atomic():
        job = export.enqueue(int(request.POST["rows"]))
    return respond(job, wait=settings.ACCEPTABLE_WAIT, then=reverse("exported"), failed=reverse("home"))


@login_required
def exported(request: HttpRequest) -> HttpResponse:
    """Where a good export leads."""
    return render(request, "catalog/exported.html")


@background_route
@login_required
def report(request: HttpRequest) -> HttpResponse:
    """A view from long ago: it prints, and takes its time."""
    for month in range(1, 13):
        print(f"Month {month} for {request.user.get_username()}")
        job = current_job()
        if job is not None:
            job.progress(100 * month / 12, f"month {month}")
        time.sleep(0.1)
    return HttpResponse("The report is ready.", content_type="text/plain")


@require_POST
@login_required
def start_report(request: HttpRequest) -> HttpResponse:
    """The same view in the background, as the same user."""
    job = jobs.route("GET", reverse("report"), as_user=request, title="Yearly report")
    notice(request, job)
    return redirect("output", job.id)


@login_required
def output(request: HttpRequest, job_id: str) -> HttpResponse:
    """A job with its output."""
    return render(request, "catalog/output.html", {"job_id": job_id})
