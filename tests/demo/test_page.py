"""A person at the shop: imports, looks at the bar, reloads, cancels, changes products, downloads."""

import csv
import sqlite3
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from examples.shop.example_file import example_lines
from examples.shop.folder import Folder
from examples.shop.once import data_file
from tests.demo.conftest import Visit
from tests.waiting import wait_until

PATIENCE = 30_000
JOB = "backburner-progress"


def import_file(page: Page, path: Path) -> None:
    page.set_input_files("#file", path)
    page.get_by_role("button", name="Import", exact=True).click()
    page.wait_for_selector(JOB)


def example(tmp_path: Path, rows: int, *, wrong: bool = False) -> Path:
    path = tmp_path / "prices.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        file.writelines(example_lines(rows, wrong))
    return path


def succeeded(page: Page) -> None:
    expect(page.locator(f"{JOB} .bb-figure")).to_have_text("Succeeded", timeout=PATIENCE)


ROWS = 600_000
"""Enough that an import is still under way after a reload, on any machine."""


def share(page: Page) -> float:
    """How far the bar is, 0 to 1."""
    return float(page.locator(f"{JOB} progress").first.get_attribute("value") or 0)


def press(row: Locator, name: str) -> None:
    """Press the button of a product, and wait for the page that comes back."""
    row.get_by_role("button", name=name).click()
    other = "Ship" if name == "Order" else "Order"
    expect(row.get_by_role("button", name=other)).to_be_visible()


def count(folder: Folder, condition: str = "1") -> int:
    with sqlite3.connect(folder.path / "shop.db") as database:
        return int(database.execute(f"SELECT count(*) FROM products WHERE {condition}").fetchone()[0])


def test_the_bar_moves_stays_after_a_reload_and_can_be_cancelled(page: Page, folder: Folder, tmp_path: Path) -> None:
    import_file(page, example(tmp_path, ROWS))
    expect(page.locator("#notice")).to_contain_text("“Import prices.csv” runs in the background. Follow it")
    job = page.url.partition("job=")[2]
    assert job in (page.locator("#notice code").text_content() or "")
    first = wait_until(lambda: share(page), "the bar begins to move")
    second = wait_until(lambda: share(page) > first and share(page), "the bar moves on")

    page.reload()
    assert page.url.endswith(job)
    third = wait_until(lambda: share(page), "the bar is there after a reload")
    assert third >= second
    wait_until(lambda: share(page) > third, "the bar moves on after a reload")

    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(f"{JOB} .bb-figure")).to_have_text("Cancelled", timeout=PATIENCE)
    message = page.locator(f"{JOB} .bb-message").text_content() or ""
    stored = count(folder)
    assert message == f"Stopped at {stored:,} of {ROWS:,} rows."
    assert 0 < stored < ROWS


def test_an_export_is_downloaded_with_what_was_imported(page: Page, tmp_path: Path) -> None:
    source = data_file("seattle-weather.csv")
    import_file(page, source)
    succeeded(page)
    page.get_by_role("button", name="Export CSV").click()
    succeeded(page)
    expect(page.locator(f"{JOB} .bb-message")).to_have_text("1,461 products")
    page.get_by_role("button", name="Show log").click()
    expect(page.locator(f"{JOB} .bb-log")).to_contain_text("1,000 rows written")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download products.csv").click()
    assert download.value.suggested_filename == "products.csv"
    download.value.save_as(tmp_path / "back.csv")
    back = list(csv.reader((tmp_path / "back.csv").open(encoding="utf-8-sig", newline="")))
    sent = list(csv.reader(source.open(encoding="utf-8", newline="")))
    assert back == [[*sent[0], "shop_status"], *([*row, "active"] for row in sent[1:])]


@pytest.mark.long
def test_few_products_are_changed_at_once(page: Page, folder: Folder, tmp_path: Path) -> None:
    import_file(page, example(tmp_path, 30))
    succeeded(page)
    row = page.locator("tbody tr")
    expect(row).to_have_count(30)
    press(row.nth(1), "Order")
    for number in range(3):
        row.nth(number).get_by_role("checkbox").check()
    expect(page.locator("#ticked")).to_have_text("3 chosen")
    page.get_by_role("button", name="Archive 3").click()

    notice = page.locator(".notice")
    expect(notice).to_contain_text("2 products are archived now. 1 product could not be changed:")
    expect(notice.locator("li")).to_contain_text("KO-0000002 It has 1 open order. Ship first.")
    assert count(folder, "status = 'archived'") == 2
    assert "job=" not in page.url

    press(row.nth(1), "Ship")
    page.get_by_role("button", name="Retry those 1").click()
    expect(notice).to_have_text("1 product is archived now.")
    assert count(folder, "status = 'archived'") == 3


@pytest.mark.long
def test_many_products_are_changed_in_the_background(page: Page, folder: Folder, tmp_path: Path) -> None:
    import_file(page, example(tmp_path, 400))
    succeeded(page)
    row = page.locator("tbody tr")
    for number in (0, 2, 5):
        press(row.nth(number), "Order")
    row.nth(0).get_by_role("checkbox").check()
    page.get_by_label("all 400 that match").check()
    page.get_by_role("button", name="Archive 400").click()

    expect(page.locator(f"{JOB} .bb-title")).to_have_text("Archive 400 products")
    succeeded(page)
    expect(page.locator(f"{JOB} .bb-message")).to_have_text("397 done, 3 failed")
    failed = page.locator("#failed")
    expect(failed.locator("h2")).to_have_text("3 products could not be changed")
    expect(failed.locator("li code")).to_have_text(["KO-0000001", "KO-0000003", "KO-0000006"])
    expect(failed.locator("li").first).to_contain_text("It has 1 open order. Ship first.")
    assert count(folder, "status = 'archived'") == 397

    for number in (0, 2, 5):
        press(row.nth(number), "Ship")
    before = page.url
    failed.get_by_role("button", name="Retry those 3").click()
    succeeded(page)
    assert page.url != before
    expect(page.locator(f"{JOB} .bb-message")).to_have_text("3 products")
    assert count(folder, "status = 'archived'") == 400


def test_wrong_rows_are_told_by_their_lines(page: Page, folder: Folder, tmp_path: Path) -> None:
    path = tmp_path / "messy.csv"
    path.write_bytes(
        '\ufeffcode;name;price\r\nA;"Tent; ""big""\r\ntwo lines";1,50\r\nB;too few\r\n;no key;1\r\n'
        'A;again;2\r\nC;"never closed;3\r\nD;Zelt für zwei;4\r\n'.encode()
    )
    import_file(page, path)
    succeeded(page)
    told = page.locator("#failed li")
    expect(told).to_have_text(
        [
            "line 4 It has 2 fields, the first line has 3.",
            "line 5 Its code is empty.",
            "line 6 code 'A' was on line 2 already.",
            "line 7 It cannot be read: a quote is opened and never closed.",
        ]
    )
    expect(page.locator("tbody tr")).to_have_count(2)
    expect(page.locator("tbody tr .number")).to_have_text(["1.50", "4.00"])


def test_it_works_without_scripts(visit: Visit, tmp_path: Path) -> None:
    page = visit(java_script_enabled=False)
    import_file(page, example(tmp_path, 100))

    def checked_again() -> bool:
        page.get_by_role("link", name="Check again").click()
        return "Succeeded" in (page.locator(JOB).text_content() or "")

    wait_until(checked_again, "the import is done")
    expect(page.locator("#products-title")).to_have_text("100 products")
    page.get_by_role("link", name="Next").click()
    expect(page.locator("tbody tr")).to_have_count(50)
    expect(page.locator("tbody tr").first).to_contain_text("KO-0000051")
    page.get_by_role("link", name="Previous").click()
    expect(page.locator("tbody tr").first).to_contain_text("KO-0000001")


def test_it_fits_a_phone_and_searches(visit: Visit, tmp_path: Path) -> None:
    page = visit(viewport={"width": 360, "height": 780}, color_scheme="dark", is_mobile=True, has_touch=True)
    import_file(page, example(tmp_path, 60))
    succeeded(page)
    expect(page.locator("tbody tr")).to_have_count(50)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.get_by_label("Search name or key").fill("KO-000001")
    page.get_by_role("button", name="Search").click()
    expect(page.locator("#products-title")).to_have_text("10 products")
    page.get_by_label("Search name or key").fill("100%_")
    page.get_by_role("button", name="Search").click()
    expect(page.locator(".empty")).to_contain_text("No product matches.")
