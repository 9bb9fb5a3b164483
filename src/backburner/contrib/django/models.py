"""`Job`: what permissions and the admin speak of. Rows are read through Backburner, never by queries of Django's."""

from __future__ import annotations

from django.db import models


class Job(models.Model):
    """No table of Django's: it stands for the jobs in permissions and in the admin's index."""

    class Meta:
        """Permissions: to see jobs, to cancel and retry them (change), and to delete them."""

        managed = False
        default_permissions = ("view", "change", "delete")
        verbose_name = "job"
        verbose_name_plural = "jobs"
