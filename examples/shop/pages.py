"""The shop's pages and what its forms do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.templating import Jinja2Templates

from backburner import Backburner, BackburnerError, Job
from backburner.control import JobDetails
from backburner.errors import JobNotFound
from examples.shop.example_file import example_lines
from examples.shop.folder import Folder
from examples.shop.mass_change import MOST_AT_ONCE, Changed, change_status
from examples.shop.products import STATUSES, Choice, Product, Products
from examples.shop.shown import in_order, job_line, product_lines
from examples.shop.tasks import export_products, import_products, set_status
from examples.shop.upload import Refused, kept, new_upload, shown_name, take_upload

USER = "dana"
"""The shop has one person in it. Yours would ask its session."""
EXAMPLE_ROWS = 200_000
_PAGE = 50
_COUNT_LIMIT = 10_000
_SHOWN_FAILED = 50


@dataclass(frozen=True, slots=True)
class View:
    """What of the products a page shows: the part of its address that has to do with it."""

    search: str = ""
    status: str = ""
    after: int = 0
    before: int | None = None
    found: Choice = field(default_factory=Choice)

    @classmethod
    def of(cls, said: Mapping[str, object]) -> View:
        """From an address or a form; what makes no sense is left out."""
        search, status = str(said.get("q", "")).strip()[:100], _status(said.get("status"))
        after, before = _whole(said.get("after")) or 0, _whole(said.get("before"))
        return cls(search, status, after, before, Choice((), search, status))

    def address(self, **more: object) -> str:
        """This view with something else said about it."""
        said = {"q": self.search, "status": self.status} | more
        return "/?" + urlencode({name: value for name, value in said.items() if value not in ("", None)})


class Pages:
    """Every route of the shop."""

    def __init__(self, jobs: Backburner, products: Products, folder: Folder, templates: Jinja2Templates) -> None:
        self._jobs, self._products, self._folder, self._templates = jobs, products, folder, templates

    def routes(self) -> list[Route]:
        """Where each of them is."""
        posts: dict[str, Callable[..., object]] = {
            "/import": self.take_file,
            "/import/example": self.take_example,
            "/export": self.export,
            "/products/change": self.change,
            "/products/{product:int}/orders": self.order,
            "/products/{product:int}/ship": self.ship,
            "/jobs/{job}/retry-items": self.retry_items,
            "/jobs/{job}/cancel": self.cancel,
        }
        return [
            Route("/", self.index),
            Route("/example.csv", self.example),
            *(Route(path, endpoint, methods=["POST"]) for path, endpoint in posts.items()),
        ]

    def index(self, request: Request) -> Response:
        """The one page there is."""
        return self._page(request)

    async def take_file(self, request: Request) -> Response:
        """Keep an uploaded file and import it in the background."""
        try:
            upload, name = await take_upload(request, self._folder)
        except Refused as error:
            return await run_in_threadpool(self._page, request, str(error), error.status)
        return _follow(await run_in_threadpool(self._start_import, upload, name))

    def take_example(self, request: Request) -> Response:
        """Import a made-up price list."""
        upload = new_upload()
        try:
            with kept(self._folder.upload(upload)) as file:
                file.writelines(_bytes(example_lines(EXAMPLE_ROWS)))
        except Refused as error:
            return self._page(request, str(error), error.status)
        return _follow(self._start_import(upload, f"{EXAMPLE_ROWS:,} example products"))

    def example(self, request: Request) -> Response:
        """The same price list, to look at and to send."""
        headers = {"content-disposition": 'attachment; filename="example.csv"'}
        return StreamingResponse(_bytes(example_lines(EXAMPLE_ROWS)), media_type="text/csv", headers=headers)

    async def export(self, request: Request) -> Response:
        """Write what the view shows to a file, in the background."""
        view = View.of(await request.form())
        return _follow(await export_products.options(owner=USER).aenqueue(view.found))

    async def change(self, request: Request) -> Response:
        """Change the chosen products, at once or in the background."""
        form = await request.form()
        view = View.of(form)
        status = _status(form.get("to"))
        ids = tuple(number for text in form.getlist("ids") if (number := _whole(text)) is not None)
        if not status or not (ids or form.get("all")):
            problem = "No product was chosen. Tick some, then say what to do with them."
            return await run_in_threadpool(self._page, request, problem, 400)
        choice = Choice(ids)
        if form.get("all"):
            newest = await run_in_threadpool(self._products.newest)
            choice = replace(view.found, up_to=newest)
        done = await run_in_threadpool(change_status, choice, status, USER)
        if isinstance(done, Job):
            return _follow(done, view)
        return _see(_result(view, done, status))

    async def order(self, request: Request) -> Response:
        """A customer orders a product: from now on it cannot be archived."""
        await run_in_threadpool(self._products.place_order, request.path_params["product"])
        return await self._back(request)

    async def ship(self, request: Request) -> Response:
        """The open orders of a product are sent off."""
        await run_in_threadpool(self._products.ship, request.path_params["product"])
        return await self._back(request)

    def retry_items(self, request: Request) -> Response:
        """Do those products again that could not be changed."""
        return self._acted(request, self._jobs.retry_items, of_task=set_status.name)

    def cancel(self, request: Request) -> Response:
        """Stop a job; for browsers without scripts, the bar has a button of its own."""
        return self._acted(request, lambda job: job if job.done else job.cancel())

    def _acted(self, request: Request, act: Callable[[Job], Job], of_task: str | None = None) -> Response:
        """Act on a job of this person, and follow the one that comes of it."""
        try:
            job = self._jobs.get(request.path_params["job"])
            if job.owner != USER or of_task not in (None, job.task):
                raise JobNotFound(job.id)
            return _follow(act(job))
        except JobNotFound:
            return self._page(request, "There is no such job.", 404)
        except BackburnerError as error:
            return self._page(request, str(error), 409)

    def _start_import(self, upload: str, name: str) -> Job:
        return import_products.options(owner=USER).enqueue(upload, shown_name(name))

    async def _back(self, request: Request) -> Response:
        back = str((await request.form()).get("back", ""))
        return _see(back if back.startswith("/?") else "/")

    def _page(self, request: Request, problem: str = "", status: int = 200) -> Response:
        view, now = View.of(request.query_params), datetime.now(UTC)
        found = self._products.page(view.found, _PAGE + 1, after=view.after, before=view.before)
        more = len(found) > _PAGE
        shown = found[:_PAGE] if view.before is None else found[-_PAGE:]
        has_next, has_previous = (more, view.after > 0) if view.before is None else (bool(found), more)
        count = self._products.count(view.found, _COUNT_LIMIT + 1)
        recent = self._jobs.find(owner=USER, limit=8)
        chosen = self._chosen(request)
        active = [job for job in recent if not job.done and (chosen is None or job.id != chosen.job.id)]
        context = {
            "view": view,
            "rows": product_lines(shown, self._products.names_of(sorted({p.layout for p in shown}))),
            "count": count,
            "count_limit": _COUNT_LIMIT,
            "empty": not count and not self._products.newest(),
            "next": view.address(after=shown[-1].id) if has_next and shown else None,
            "previous": view.address(before=shown[0].id) if has_previous and shown else None,
            "recent": [job_line(job, now) for job in recent],
            "active": [job_line(job, now) for job in active[:3]],
            "chosen": job_line(chosen.job, now, chosen.files) if chosen else None,
            "back": f"/?{request.url.query}",
            "failed": in_order(chosen.failed_items)[:_SHOWN_FAILED] if chosen and chosen.job.done else [],
            "failed_count": chosen.failed_count if chosen else 0,
            "can_retry": bool(chosen and chosen.job.task == set_status.name),
            "changed": self._changed(request),
            "workers": [worker.pid for worker in self._jobs.store.workers.live()],
            "example_rows": EXAMPLE_ROWS,
            "most_at_once": MOST_AT_ONCE,
            "problem": problem,
        }
        return self._templates.TemplateResponse(request, "index.html", context, status_code=status)

    def _chosen(self, request: Request) -> JobDetails | None:
        """The job the page was asked to follow; None when it is not there, or not this person's."""
        job = request.query_params.get("job")
        if job is None:
            return None
        try:
            found = self._jobs.control.show(job, failed_limit=10_000)
        except BackburnerError:
            return None
        return found if found.job.owner == USER else None

    def _changed(self, request: Request) -> dict[str, object] | None:
        """What a change at once has done, as the address says; reasons are looked up as they are now."""
        query = request.query_params
        count, to = _whole(query.get("changed")), _status(query.get("to"))
        if count is None or not to:
            return None
        ids = tuple(n for text in query.get("refused", "").split(",") if (n := _whole(text)) is not None)
        refused = self._products.page(Choice(ids), MOST_AT_ONCE) if ids else []
        reasons: list[tuple[Product, str]] = [
            (product, self._products.obstacle(product, to) or "Nothing is against it any more.") for product in refused
        ]
        return {"count": count, "to": to, "refused": reasons}


def _follow(job: Job, view: View | None = None) -> Response:
    return _see((view or View()).address(job=job.id))


def _see(address: str) -> Response:
    return RedirectResponse(address, 303)


def _result(view: View, done: Changed, status: str) -> str:
    refused = ",".join(str(product.id) for product, _ in done.refused)
    return view.address(changed=done.products, to=status, refused=refused)


def _status(value: object) -> str:
    return value if isinstance(value, str) and value in STATUSES else ""


def _whole(text: object) -> int | None:
    return int(text) if isinstance(text, str) and text.isascii() and text.isdigit() and len(text) < 19 else None


def _bytes(lines: Iterator[str]) -> Iterator[bytes]:
    part: list[str] = []
    for line in lines:
        part.append(line)
        if len(part) == 1_000:
            yield "".join(part).encode()
            part.clear()
    yield "".join(part).encode()
