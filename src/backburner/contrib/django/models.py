"""`Job`: what permissions and the admin speak of. Rows are read through Backburner, never by queries of Django's."""

from __future__ import annotations

from django.db import models


class Job(models.Model):
    """No table of Django's: it stands for the jobs in permissions and in the admin's index.

    Those of `permissions` are for the operators' pages; view, change (cancel and retry) and delete for the admin too.
    """

    class Meta:
        """Nobody but superusers has any of these at first."""

        managed = False
        default_permissions = ("view", "change", "delete")
        permissions = (
            ("jobs_arguments", "Can view arguments and results of jobs"),
            ("jobs_edit", "Can edit arguments of jobs"),
            ("jobs_run", "Can start jobs of tasks"),
            ("queues_pause", "Can pause queues"),
            ("queues_limit", "Can limit queues"),
            ("schedules_edit", "Can edit schedules"),
            ("workers_control", "Can stop and reload workers"),
            ("settings_edit", "Can edit settings of jobs"),
            ("notes_add", "Can add notes to charts of jobs"),
            ("audit_view", "Can view who did what with jobs"),
        )
        verbose_name = "job"
        verbose_name_plural = "jobs"
