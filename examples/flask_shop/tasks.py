"""What takes longer than a request may."""

from __future__ import annotations

import time

from backburner import current_job, track
from examples.flask_shop.extensions import db, jobs
from examples.flask_shop.models import Export

PAUSE = 0.01
"""Seconds that one order takes."""


@jobs.task(title="Export {orders} orders")
def export_orders(export: int, orders: int) -> str:
    """Write the orders of one `Export`, which was stored together with this job."""
    lines = ["number;total"]
    for number in track(range(1, orders + 1), unit="orders"):
        time.sleep(PAUSE)
        lines.append(f"{number};{number * 7 % 400}.00")
    found = db.session.get(Export, export)
    assert found is not None
    found.text = "\n".join(lines)
    db.session.commit()
    current_job().link("Download the CSV file", route="shop.file", params={"number": export})
    return f"orders-{export}.csv"
