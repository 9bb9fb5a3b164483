"""What other processes import to be one of the project: `backburner --app backburner.contrib.django.program:jobs`.

It needs DJANGO_SETTINGS_MODULE. `manage.py backburner worker` says both.
"""

from __future__ import annotations

import django
from django.apps import apps

from backburner.contrib.django.project import project_jobs

if not apps.ready:
    django.setup()

jobs = project_jobs()
