"""What the app is made with."""

from __future__ import annotations

from flask_login import LoginManager
from flask_sqlalchemy import SQLAlchemy
from flask_wtf.csrf import CSRFProtect

from backburner.contrib.flask import FlaskBackburner

db = SQLAlchemy()
csrf = CSRFProtect()
logins = LoginManager()
logins.login_view = "shop.login"

backburner = FlaskBackburner(
    db=db,
    operator=lambda person: person.is_boss,
    epoch_of=lambda person: person.password_hash,
    holding_template="hold.html",
)
jobs = backburner.jobs
