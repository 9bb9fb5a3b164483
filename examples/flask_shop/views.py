"""The shop's pages."""

from __future__ import annotations

from collections.abc import Iterator

from flask import (
    Blueprint,
    Response,
    abort,
    current_app,
    redirect,
    render_template,
    request,
    stream_with_context,
    url_for,
)
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_required, login_user, logout_user

from backburner.route_jobs import background_route
from examples.flask_shop.extensions import backburner, db, jobs
from examples.flask_shop.models import Export, Person
from examples.flask_shop.tasks import export_orders

shop = Blueprint("shop", __name__)
MANY = 200


@shop.get("/")
@login_required
def index() -> str:
    """The forms, and the jobs of who is signed in."""
    return render_template("index.html", mine=jobs.find(owner=current_user.get_id(), limit=5))


@shop.route("/login", methods=["GET", "POST"])
def login() -> ResponseReturnValue:
    """Sign in."""
    person = db.session.query(Person).filter_by(name=request.form.get("name", "")).one_or_none()
    if request.method == "POST" and person is not None and person.knows(request.form.get("password", "")):
        login_user(person)
        return redirect(url_for("shop.index"))
    return render_template("login.html", refused=request.method == "POST"), 403 if request.method == "POST" else 200


@shop.post("/logout")
def logout() -> ResponseReturnValue:
    """Sign out."""
    logout_user()
    return redirect(url_for("shop.login"))


@shop.post("/export")
@login_required
def export() -> ResponseReturnValue:
    """Start an export; the row and its job are there together, or not at all."""
    orders = request.form.get("orders", 0, int)
    if not 0 < orders <= 100_000:
        abort(422, "Give 1 to 100,000 orders.")
    row = Export(person=current_user.id, orders=orders)
    db.session.add(row)
    db.session.flush()
    job = export_orders.enqueue(row.id, orders)
    db.session.commit()
    # Few orders are worth a moment: then there is no page in between.
    wait = current_app.config["SHOP_WAIT"] if orders < MANY else 0
    return backburner.respond(job, wait=wait, then=url_for("shop.thanks", number=row.id))


@shop.get("/exports/<int:number>")
@login_required
def thanks(number: int) -> str:
    """Where a finished export leads."""
    return render_template("thanks.html", export=_own(number))


@shop.get("/exports/<int:number>/orders.csv")
@login_required
def file(number: int) -> Response:
    """The file."""
    headers = {"Content-Disposition": f"attachment; filename=orders-{number}.csv"}
    return Response(_own(number).text, mimetype="text/csv", headers=headers)


@shop.post("/stock/count")
@login_required
@background_route
def count_stock() -> Response:
    """An old view that prints while it works; it knows nothing of jobs."""

    def shelves() -> Iterator[str]:
        for shelf in range(1, int(request.form["shelves"]) + 1):
            print(f"shelf {shelf}: {shelf * 31 % 70} items")
            yield f"{current_user.name} counted shelf {shelf}\n"

    return Response(stream_with_context(shelves()), mimetype="text/plain")


@shop.post("/stock")
@login_required
def stock() -> ResponseReturnValue:
    """Have the old view run in the background, as who is signed in; go on with a notice and a bar."""
    job = jobs.route("POST", url_for("shop.count_stock"), form=request.form, as_user=current_user, title="Count stock")
    db.session.commit()
    backburner.flash(job)
    return redirect(url_for("shop.index"))


def _own(number: int) -> Export:
    found = db.session.get(Export, number)
    if found is None or found.text is None or found.person != current_user.id:
        abort(404)
    return found
