"""The first tables, and the model that permissions speak of."""

from django.db import migrations

from backburner.contrib.django.migration import Tables


class Migration(migrations.Migration):
    initial = True
    atomic = False
    dependencies: list[tuple[str, str]] = []
    operations = [
        migrations.CreateModel(
            name="Job",
            fields=[],
            options={
                "verbose_name": "job",
                "verbose_name_plural": "jobs",
                "managed": False,
                "default_permissions": ("view", "change", "delete"),
                "permissions": (
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
                ),
            },
        ),
        Tables("1001"),
    ]
