"""SQLAlchemy's sessions, without its ORM: whoever passes a session has imported that, and to import it costs a fifth of
the start of a process.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeGuard

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


def is_session(target: object) -> TypeGuard[Session]:
    """Whether it is a session."""
    return isinstance(target, _of_orm("Session"))


def is_scoped(target: object) -> bool:
    """Whether it is a `scoped_session`, which gives a session when it is called."""
    return isinstance(target, _of_orm("scoped_session"))


def _of_orm(name: str) -> Any:
    # Not there, or not yet: another thread may be importing it.
    return getattr(sys.modules.get("sqlalchemy.orm"), name, ())
