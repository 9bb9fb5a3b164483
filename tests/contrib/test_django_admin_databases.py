"""A thousand records changed in the background by a plain action of the admin; on SQLite: `test_django_admin`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from backburner import Backburner, JobState
from backburner.testing import JobsTesting
from tests.contrib.django_project import use_databases
from tests.contrib.test_django_admin import act, people, said, staff, text_of

# Behind the settings, which that module makes.
from django.contrib.auth.models import User  # isort: skip
from django.core.management import call_command  # isort: skip
from django.db import connections  # isort: skip

from backburner.contrib.django.background import action_task  # isort: skip
from backburner.contrib.django.project import project_jobs  # isort: skip


@pytest.fixture(params=["postgresql", "mariadb"])
def jobs(request: pytest.FixtureRequest) -> Iterator[Backburner]:
    """The project with all its tables, made by `migrate`."""
    use_databases(default=request.getfixturevalue(f"empty_{request.param}_url"))
    project_jobs.cache_clear()
    call_command("migrate", verbosity=0)
    made = project_jobs()
    action_task(made)
    yield made
    made.close()
    connections.close_all()


@pytest.mark.long
def test_a_thousand_records_change_and_a_notice_leads_to_the_job(jobs: Backburner, tmp_path: Path) -> None:
    olga, browser = staff("olga", "view_user", "change_user", "view_job")
    keys = people(1000)
    page = act(browser, keys[:1], select_across="1")
    (job,) = jobs.find()
    notice = f"Deactivate selected users (1,001 users) runs in the background: job \u2026{job.id[-4:]}. See all jobs"
    assert said(page) == [notice]
    assert f'<a href="/backburner/jobs/{job.id}/wait">' in text_of(page)
    assert User.objects.filter(is_active=False).count() == 0
    with JobsTesting(jobs, tmp_path, url=jobs.settings.url) as testing:
        testing.drain(raises=True)
    assert (job.refresh().state, job.owner) == (JobState.SUCCEEDED, str(olga.pk))
    assert set(User.objects.filter(is_active=False).values_list("pk", flat=True)) == {olga.pk, *keys}
    connections.close_all()
