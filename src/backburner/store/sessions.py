"""SQLAlchemy's sessions, without its ORM: whoever passes a session has imported that, and to import it costs a fifth of
the start of a process.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TypeGuard

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


def is_session(target: object) -> TypeGuard[Session]:
    """Whether it is a session."""
    orm = sys.modules.get("sqlalchemy.orm")
    return orm is not None and isinstance(target, orm.Session)


def is_scoped(target: object) -> bool:
    """Whether it is a `scoped_session`, which gives a session when it is called."""
    orm = sys.modules.get("sqlalchemy.orm")
    return orm is not None and isinstance(target, orm.scoped_session)
