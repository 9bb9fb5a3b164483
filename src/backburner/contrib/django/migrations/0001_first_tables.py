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
            },
        ),
        Tables("1001"),
    ]
