"""`BackburnerConfig`: the app of INSTALLED_APPS."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig, apps
from django.core import checks
from django.utils.module_loading import module_has_submodule

from backburner.contrib.django.background import action_task
from backburner.contrib.django.checks import check_database, check_project
from backburner.contrib.django.configuration import configuration
from backburner.contrib.django.mail import own_mailers, project_mails
from backburner.contrib.django.project import project_jobs
from backburner.contrib.django.route_jobs import DjangoRoutes
from backburner.errors import SettingsError

TASKS = "tasks"


class BackburnerConfig(AppConfig):
    """Finds the tasks of each app in its `tasks.py`, and lets marked views run as jobs."""

    name = "backburner.contrib.django"
    label = "backburner"
    verbose_name = "Background jobs"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """All apps are loaded."""
        checks.register(check_project)
        checks.register(check_database, checks.Tags.database)
        try:
            jobs, said = project_jobs(), configuration()
        except SettingsError:
            # `check_project` says so, in its own words and with everything else that is wrong.
            return
        if jobs.settings.secrets and jobs._routes is None:
            DjangoRoutes(jobs, site=said.site, **said.route_jobs)
        if apps.is_installed("django.contrib.admin"):
            action_task(jobs)
        for alias in own_mailers():
            # Workers must know the task, though they may send nothing themselves.
            project_mails(alias)
        for app in apps.get_app_configs():
            if app is not self and module_has_submodule(app.module, TASKS):
                import_module(f"{app.name}.{TASKS}")
