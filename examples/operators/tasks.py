"""The tasks of a shop for outdoor gear, as an operator meets them at work: some go well, some do not."""

from __future__ import annotations

import os
import signal
import threading

from backburner import Backburner, PermanentError, RetryPolicy, Skip, current_job, track

jobs = Backburner()
go_on = threading.Event()
"""Until this is set, long jobs stand where they have come to: a picture of them can be taken."""
_PATIENT = RetryPolicy(base=600, cap=3600)


class ConnectTimeout(Exception):
    """The other side did not answer."""


class OperationalError(Exception):
    """The database went away."""


def _until(share: float, total: int, unit: str, text: str) -> None:
    """Work up to a share of the whole, and wait there."""
    job = current_job()
    assert job is not None
    job.expect(total, unit)
    job.advance(int(total * share))
    if text:
        job.message(text)
    while not go_on.wait(0.1):
        job.check()


@jobs.task(name="orders.export_orders", title="Export orders of {month}", queue="exports", max_attempts=3)
def export_orders(month: str, columns: list[str], carrier: str | None = None, sftp_password: str = "") -> int:
    """Write all orders of a month into a file for the accountants."""
    job = current_job()
    assert job is not None
    job.stage("Load orders")
    job.log(f"84,725 orders of {month} loaded in 12 s")
    job.message(f"84,725 orders found for {month}", "info")
    job.stage("Write rows", 84_725, "orders")
    for thousand in range(44, 53):
        job.log(f"orders {thousand},001 to {thousand + 1},000 written in 3.1 s")
    job.message("3 orders have no invoice address", "warning")
    job.link("Preview of the first 500 rows", "/exports/preview")
    job.advance(52_600)
    while not go_on.wait(0.1):
        job.check()
    return 84_725


@jobs.task(name="orders.set_status", title="Set status {status} on {count} orders", queue="orders", max_attempts=3)
def set_status(status: str, count: int) -> int:
    """Set the status of many orders."""
    for _ in track(range(count), unit="orders"):
        pass
    return count


@jobs.task(name="stock.import_feed", title="Import stock of supplier {supplier}", queue="imports", max_attempts=5)
def import_feed(supplier: str) -> None:
    """Take over what a supplier has in stock; nobody knows how many rows come."""
    job = current_job()
    assert job is not None
    job.stage("Reading the feed", None, "rows")
    job.advance(18_402)
    job.message("The feed sends no total")
    while not go_on.wait(0.1):
        job.check()


@jobs.task(
    name="stock.recalculate", title="Recalculate stock of warehouse {warehouse}", queue="catalog", max_attempts=3
)
def recalculate(warehouse: str, full: bool = False) -> None:
    """Add up what is there, reserved and on its way."""
    _until(0.71, 212_480, "products", "")


@jobs.task(name="media.render_banners", title="Render banners of {campaign}", queue="media", max_attempts=3)
def render_banners(campaign: str) -> None:
    """Draw the banners of a campaign in all sizes."""
    _until(0.87, 30, "banners", "")


@jobs.task(
    name="catalog.set_price_list", title="Set price list {name} on {count} products", queue="catalog", max_attempts=3
)
def set_price_list(name: str, count: int) -> None:
    """Give many products other prices."""
    _until(0.38, count, "products", "")


@jobs.task(
    name="marketplace.push_offer",
    title="Push offer {offer} to Parcelfox",
    queue="webhooks",
    max_attempts=1,
    retry=_PATIENT,
)
def push_offer(offer: str) -> None:
    """Send an offer to the marketplace."""
    raise ConnectTimeout("api.parcelfox.example did not answer in 30 s")


@jobs.task(
    name="webhooks.deliver", title="Tell {partner} of order {order}", queue="webhooks", max_attempts=5, retry=_PATIENT
)
def deliver(partner: str, order: int) -> None:
    """Call the address that a partner gave us."""
    raise OperationalError("server closed the connection unexpectedly")


@jobs.task(name="invoices.check_vat", title="Check VAT number {number}", queue="orders", max_attempts=3)
def check_vat(number: str) -> bool:
    """Ask the register whether a VAT number is good."""
    if number.endswith("9"):
        raise PermanentError("VAT number refused by VIES")
    return True


@jobs.task(
    name="payments.charge_batch",
    title="Charge deposits of pre-orders, batch {batch}",
    queue="payments",
    repeatable=False,
)
def charge_batch(batch: int) -> None:
    """Charge cards; it must not run twice. Its process is killed in the middle here."""
    os.kill(os.getpid(), signal.SIGKILL)


@jobs.task(name="pricing.compare", title="Price check of competitors, {category}", queue="catalog", max_attempts=3)
def compare(category: str) -> dict[str, int]:
    """Compare our prices with those of others."""
    job = current_job()
    assert job is not None
    job.message("214 prices, 9 below ours", "success")
    job.link("Open report", "/reports/prices")
    return {"prices": 214, "below": 9}


@jobs.task(name="seo.rebuild_sitemap", title="Rebuild sitemap", queue="catalog")
def rebuild_sitemap() -> None:
    """Write the sitemap anew, if anything has changed."""
    raise Skip("Nothing changed since 14:02")


@jobs.task(name="newsletter.send", title="Send {campaign} to {readers} readers", queue="newsletter", max_attempts=3)
def send_newsletter(campaign: str, readers: int) -> None:
    """Send a newsletter."""


@jobs.task(name="reports.daily", title="Daily report of {shop}", queue="reports", max_attempts=3)
def daily_report(shop: str) -> None:
    """The figures of a day."""


jobs.schedule(rebuild_sitemap, cron="*/15 * * * *", name="Sitemap")
jobs.schedule(
    daily_report, cron="0 6 * * MON-FRI", zone="Europe/Prague", args=("Kestrel Outdoor",), name="Daily report"
)
jobs.schedule(import_feed, every=3600, args=("Alpstock",), name="Stock of Alpstock")
