"""The shop, as uvicorn serves it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Form, HTTPException, Request
from fastapi.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.middleware.sessions import SessionMiddleware

from backburner.contrib.fastapi import DurableTasks, FastAPIBackburner, background_user
from backburner.route_jobs import Identity, background_route
from examples.fastapi_shop.database import Export, engine, get_session, make_tables
from examples.fastapi_shop.tasks import export_orders, jobs, write_to

HERE = Path(__file__).parent
# Names and passwords. A shop that is more than an example keeps hashes.
PEOPLE = {"ada": "ada", "bob": "bob", "boss": "boss"}
MANY = 200
WAIT = float(os.environ.get("SHOP_WAIT", "2"))


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """From the tables to the last connection."""
    await make_tables()
    yield
    await engine.dispose()


app = FastAPI(title="Kestrel Outdoor", lifespan=lifespan)
app.mount("/static", StaticFiles(directory=HERE.parent / "static"), name="static")
templates = Jinja2Templates(HERE / "templates")


async def present(request: Request) -> str | None:
    """Who is signed in, if anybody is."""
    return background_user(request) or request.session.get("name")


async def current_person(name: Annotated[str | None, Depends(present)]) -> str:
    """Who is signed in. Others are sent to the form for it."""
    if name is None:
        raise HTTPException(303, headers={"Location": "/login"})
    return name


backburner = FastAPIBackburner(
    jobs,
    app,
    user=present,
    operator=lambda name: name == "boss",
    templates=templates,
    holding_template="hold.html",
    identity=Identity(load_user=lambda name: name if name in PEOPLE else None, id_of=str, epoch_of=PEOPLE.__getitem__),
)
# Outside of what Backburner has added: it needs the session.
app.add_middleware(SessionMiddleware, secret_key="only for trying things out")

Name = Annotated[str, Depends(current_person)]
Session = Annotated[AsyncSession, Depends(get_session)]
Enlisted = Annotated[AsyncSession, backburner.enlisted(get_session)]


def page(request: Request, template: str, status: int = 200, **values: Any) -> Response:
    """One page of the shop."""
    return templates.TemplateResponse(request, template, values, status_code=status)


@app.get("/")
async def index(request: Request, name: Name) -> Response:
    """The forms, and the jobs of who is signed in."""
    return page(request, "index.html", mine=await jobs.afind(owner=name, limit=5))


@app.get("/login")
async def login_form(request: Request) -> Response:
    """The form to sign in."""
    return page(request, "login.html")


@app.post("/login")
async def login(
    request: Request,
    name: Annotated[str, Form()],
    password: Annotated[str, Form()],
    tasks: Annotated[DurableTasks, backburner.background],
) -> Response:
    """Sign in. A letter about it is sent by a job, which is stored before this answers."""
    if PEOPLE.get(name) != password:
        return page(request, "login.html", 403, refused=True)
    request.session["name"] = name
    tasks.add_task(write_to, name, text="You have signed in.")
    return RedirectResponse("/", 303)


@app.post("/logout")
async def logout(request: Request) -> Response:
    """Sign out."""
    request.session.clear()
    return RedirectResponse("/login", 303)


@app.post("/export", dependencies=[backburner.owner])
async def export(name: Name, session: Enlisted, orders: Annotated[int, Form(gt=0, le=100_000)]) -> Response:
    """Start an export; the row and its job are there together, or not at all."""
    row = Export(person=name, orders=orders)
    session.add(row)
    await session.flush()
    job = await export_orders.aenqueue(row.id, orders)
    await session.commit()
    # Few orders are worth a moment: then there is no page in between.
    return await backburner.respond(job, wait=WAIT if orders < MANY else 0, then=f"/exports/{row.id}")


@app.get("/exports/{number}")
async def thanks(request: Request, name: Name, number: int, session: Session) -> Response:
    """Where a finished export leads."""
    return page(request, "thanks.html", export=await own(session, number, name))


@app.get("/exports/{number}/orders.csv", name="file")
async def file(name: Name, number: int, session: Session) -> PlainTextResponse:
    """The file."""
    headers = {"Content-Disposition": f"attachment; filename=orders-{number}.csv"}
    found = await own(session, number, name)
    return PlainTextResponse(found.text, media_type="text/csv", headers=headers)


@app.post("/stock/count")
@background_route
async def count_stock(name: Name, shelves: Annotated[int, Form(gt=0, le=500)]) -> StreamingResponse:
    """An old endpoint that prints while it works; it knows nothing of jobs."""

    async def lines() -> AsyncIterator[str]:
        for shelf in range(1, shelves + 1):
            print(f"shelf {shelf}: {shelf * 31 % 70} items")
            yield f"{name} counted shelf {shelf}\n"

    return StreamingResponse(lines(), media_type="text/plain")


@app.post("/stock")
async def stock(request: Request, name: Name, shelves: Annotated[int, Form(gt=0, le=500)]) -> Response:
    """Have the old endpoint run in the background, as who is signed in; go on with a bar."""
    await jobs.aroute("POST", "/stock/count", form={"shelves": shelves}, as_user=name, title="Count stock")
    return RedirectResponse("/", 303)


async def own(session: AsyncSession, number: int, name: str) -> Export:
    """An export of this person's that is ready."""
    found = await session.get(Export, number)
    if found is None or found.text is None or found.person != name:
        raise HTTPException(404)
    return found
