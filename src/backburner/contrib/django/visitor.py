"""Who a user of the project is to Backburner, and what that user may do on the operators' pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from asgiref.sync import sync_to_async

from backburner.web import User
from backburner.web.rights import Permission

VIEW, CHANGE, DELETE = ("backburner.view_job", "backburner.change_job", "backburner.delete_job")
_OF_THE_ADMIN = {
    Permission.JOBS_VIEW: VIEW, Permission.JOBS_RETRY: CHANGE, Permission.JOBS_CANCEL: CHANGE,
    Permission.JOBS_DELETE: DELETE,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Visitor:
    """A user of the web side, and permissions by their names there."""

    user: User | None = None
    access: tuple[str, ...] = ()


async def visitor_of(person: Any) -> Visitor:
    """Nobody, for somebody who is not signed in. Permissions are looked up in a thread."""
    if not getattr(person, "is_authenticated", False) or not person.is_active:
        return Visitor()
    access = await sync_to_async(access_of)(person)
    return Visitor(User(str(person.pk), operator=person.is_superuser), access)


def access_of(person: Any) -> tuple[str, ...]:
    """What the person's permissions in Django open, by the names that the operators' pages have for them."""
    return tuple(each.value for each in Permission if person.has_perm(django_permission(each)))


def django_permission(permission: Permission) -> str:
    """What Django calls it: as the admin does, and else by its own name."""
    return _OF_THE_ADMIN.get(permission) or f"backburner.{permission.value.replace('.', '_')}"
