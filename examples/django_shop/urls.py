"""Addresses of the project."""

from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.contrib.staticfiles.urls import staticfiles_urlpatterns
from django.urls import include, path

from examples.django_shop.catalog import views

urlpatterns = [
    path("", views.home, name="home"),
    path("export/", views.start_export, name="export"),
    path("exports/done/", views.exported, name="exported"),
    path("report/", views.report, name="report"),
    path("report/start/", views.start_report, name="start-report"),
    path("jobs/<str:job_id>/", views.output, name="output"),
    path("login/", LoginView.as_view(template_name="catalog/login.html"), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("admin/", admin.site.urls),
    path("backburner/", include("backburner.contrib.django.urls")),
    # An example has no web server in front of it that would serve its files.
    *staticfiles_urlpatterns(),
]
