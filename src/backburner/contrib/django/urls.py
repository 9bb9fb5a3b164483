"""The web side below a path of the project's own: `path("backburner/", include("backburner.contrib.django.urls"))`."""

from __future__ import annotations

from django.urls import re_path

from backburner.contrib.django.site import web

app_name = "backburner"

urlpatterns = [re_path(r"^(?P<path>.*)$", web, name="web")]
