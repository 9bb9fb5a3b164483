"""The shop's tables."""

from __future__ import annotations

from flask_login import UserMixin
from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column
from werkzeug.security import check_password_hash, generate_password_hash

from examples.flask_shop.extensions import db, logins


class Person(UserMixin, db.Model):  # type: ignore[name-defined]
    """Somebody who may sign in; the boss may look at everybody's jobs."""

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80), unique=True)
    password_hash: Mapped[str] = mapped_column(String(200))
    is_boss: Mapped[bool] = mapped_column(default=False)

    def knows(self, password: str) -> bool:
        """Whether it is their password."""
        return check_password_hash(self.password_hash, password)


class Export(db.Model):  # type: ignore[name-defined]
    """An export that was asked for, and what came of it."""

    id: Mapped[int] = mapped_column(primary_key=True)
    person: Mapped[int]
    orders: Mapped[int]
    text: Mapped[str | None]


@logins.user_loader
def load_person(person_id: str) -> Person | None:
    """What Flask-Login asks for."""
    return db.session.get(Person, int(person_id))


def fill() -> None:
    """Make the tables, and people to try it with, whose names are their passwords."""
    db.create_all()
    if db.session.query(Person).count() == 0:
        for name in ("ada", "bob", "boss"):
            # A method that is quick: these are no secrets.
            hashed = generate_password_hash(name, method="pbkdf2:sha256:1000")
            db.session.add(Person(name=name, password_hash=hashed, is_boss=name == "boss"))
        db.session.commit()
