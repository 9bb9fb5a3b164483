"""What reports of failures and of tasks read."""

from django.db import migrations

from backburner.contrib.django.migration import Tables


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("backburner", "0002_grants")]
    operations = [Tables("1003")]
