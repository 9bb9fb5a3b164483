"""Who a user of the project is to Backburner."""

from __future__ import annotations

from typing import Any

from asgiref.sync import sync_to_async

from backburner.web import User

VIEW, CHANGE, DELETE = ("backburner.view_job", "backburner.change_job", "backburner.delete_job")


async def user_of(person: Any) -> User | None:
    """The user of the web side; None for somebody who is not signed in. Permissions are looked up in a thread."""
    if not getattr(person, "is_authenticated", False) or not person.is_active:
        return None
    return User(str(person.pk), operator=await sync_to_async(is_operator)(person))


def is_operator(person: Any) -> bool:
    """Whether the person may see and do everything: staff, with all three permissions on jobs."""
    return bool(person.is_staff and person.has_perms((VIEW, CHANGE, DELETE)))
