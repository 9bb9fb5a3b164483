"""`create_app`: the shop, as gunicorn and `flask` call it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from flask import Flask

from examples.flask_shop.extensions import backburner, csrf, db, logins
from examples.flask_shop.models import fill
from examples.flask_shop.views import shop

LOOKS = Path(__file__).parents[1] / "static"
"""The sheet of the small shops."""


def create_app(**config: Any) -> Flask:
    """The app. SHOP_FOLDER says where its database is."""
    folder = Path(os.environ.get("SHOP_FOLDER", "flask-shop")).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    app = Flask("examples.flask_shop", instance_path=str(folder), static_folder=LOOKS)
    app.config.update(
        SECRET_KEY="only for trying things out",
        SQLALCHEMY_DATABASE_URI=f"sqlite:///{folder / 'shop.db'}",
        SHOP_WAIT=float(os.environ.get("SHOP_WAIT", "2")),
        BACKBURNER_SECRET="only for trying things out",
        BACKBURNER_FILES=str(folder / "files"),
        SESSION_COOKIE_SAMESITE="Lax",
    )
    app.config.update(config)
    db.init_app(app)
    csrf.init_app(app)
    logins.init_app(app)
    # Last: it asks the others who is signed in, and where the tables are.
    backburner.init_app(app)
    app.register_blueprint(shop)
    with app.app_context():
        fill()
    return app
