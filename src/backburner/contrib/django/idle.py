"""`IdleConnections`: Django's connections are looked after around jobs as they are around requests."""

from __future__ import annotations

from django.db import close_old_connections

from backburner.hooks import Attempt, Hook


class IdleConnections(Hook):
    """Closes what is dead or older than CONN_MAX_AGE, before each attempt and behind it."""

    def before(self, attempt: Attempt) -> None:
        close_old_connections()

    def after(self, attempt: Attempt) -> None:
        close_old_connections()
