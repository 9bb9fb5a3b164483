"""The table of grants of route jobs."""

from django.db import migrations

from backburner.contrib.django.migration import Tables


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("backburner", "0001_first_tables")]
    operations = [Tables("1002")]
