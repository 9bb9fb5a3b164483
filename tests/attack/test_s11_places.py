"""S11: wherever a page sends a browser, it stays on this site; whatever a file is called, it comes from its folder."""

from pathlib import Path

from sqlalchemy import update
from starlette.testclient import TestClient

from backburner.destination import Destinations
from backburner.web import web_app
from backburner.web.contract import CONTRACT
from tests.attack.apps import OPERATOR, OURS, App
from tests.attack.estate import Estate, form_of
from tests.attack.test_s01_payloads import change
from tests.web.shop import Shop, as_user, by_header

ELSEWHERE = (
    "https://evil.example/", "//evil.example", "/\\evil.example", "\\\\evil.example", "https:evil.example",
    "http://localhost@evil.example/dashboard/jobs", "http://localhost.evil.example/dashboard/jobs",
    "javascript:alert(1)", "data:text/html,x", "/dashboard/jobs\r\nSet-Cookie: a=b", "/dashboard/%0d%0aX: y",
    "///evil.example", "/%5cevil.example", " //evil.example", "\t//evil.example",
)  # fmt: skip


def stays(place: str) -> bool:
    """As a browser reads a `Location`: a path of the same site."""
    return place.startswith("/") and not place.startswith(("//", "/\\")) and place.isprintable() and "\\" not in place


def test_s11_no_form_leads_elsewhere(app: App, estate: Estate) -> None:
    """Whatever `Referer`, `Host` and the fields that name a page say."""
    led = 0
    for number, route in enumerate(route for route in CONTRACT if route.method == "POST"):
        for place in (ELSEWHERE[number % len(ELSEWHERE)], ELSEWHERE[-number % len(ELSEWHERE)]):
            header = "".join(c for c in place if c.isprintable())
            fields = form_of(estate, route) | dict.fromkeys(("next", "then", "back", "here", "location"), place)
            address = estate.address(route, estate.another())
            answer = app.ask("POST", address, OPERATOR, OURS | {"referer": header, "x-forwarded-host": header}, fields)
            if (found := answer.headers.get("location")) is not None:
                led += 1
                assert stays(found), (route.path, place, found)
    assert led > 20


def test_s11_what_somebody_wrote_into_a_row_leads_nowhere_else(shop: Shop) -> None:
    """The holding page goes on to a path that is stored with the job: checked again when it is read."""
    jobs, lena, job = shop.jobs, as_user(shop, "lena"), shop.add.options(owner="lena").enqueue(1, 2)
    jobs.control.lead(job.id, Destinations("/thanks", None))
    stored = jobs.store.edits.meta_of(job.id)
    assert stored is not None
    for place in ELSEWHERE:
        meta = stored.replace('"/thanks"', '"' + place.replace("\\", "\\\\").replace("\r\n", "\\r\\n") + '"')
        change(jobs, job.id, state="succeeded", meta=meta.replace("\t", "\\t"))
        answer = lena.get(f"/jobs/{job.id}/wait")
        assert answer.status_code == 200, (place, answer.headers.get("location"))
        assert "evil.example" not in answer.text


def test_s11_files_are_those_of_the_folder(shop: Shop, tmp_path: Path) -> None:
    """By path, by encoded path, by a row that names another place, and through a link."""
    (tmp_path / "secret").write_text("canary")
    browser = TestClient(web_app(shop.jobs, resolve_user=by_header), headers={"x-user": "boss"})
    for name in ("../secret", "..%2fsecret", "%2e%2e/secret", "/etc/passwd", "..\\secret", "....//secret", "\0"):
        for root in ("/static/", "/files/"):
            answer = browser.get(root + name.replace("\0", "%00"))
            assert (answer.status_code, "canary" in answer.text) == (404, False), root + name
    job = shop.add.options(owner="lena").enqueue(1, 2)
    file = shop.jobs.files.keep(job.id, "a.txt", _source(tmp_path), None, shop.jobs.store.clock.now())
    shop.jobs.store.attachments.add(file)
    assert browser.get(f"/files/{file.id}").text == "good"
    t, place = shop.jobs.store.schema.files, tmp_path / "files" / file.place
    place.unlink()
    place.symlink_to(tmp_path / "secret")
    for stored in (file.place, "../../secret", f"{job.id}/../../secret", str(tmp_path / "secret")):
        with shop.jobs.store.engine.begin() as connection:
            connection.execute(update(t).values(place=stored))
        answer = browser.get(f"/files/{file.id}")
        assert (answer.status_code, "canary" in answer.text) == (410, False), stored


def _source(folder: Path) -> Path:
    path = folder / "a.txt"
    path.write_text("good")
    return path
