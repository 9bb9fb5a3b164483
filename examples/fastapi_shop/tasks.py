"""What takes longer than a request may. A worker needs this module alone."""

from __future__ import annotations

import asyncio

from backburner import Backburner, current_job
from examples.fastapi_shop.database import FILE, FOLDER, Export, sessions

jobs = Backburner(f"sqlite:///{FILE}", secret="only for trying things out", files=str(FOLDER / "files"))
PAUSE = 0.01
"""Seconds that one order takes."""


@jobs.task(title="Export {orders} orders")
async def export_orders(export: int, orders: int) -> str:
    """Write the orders of one `Export`, which was stored together with this job."""
    job, lines = current_job(), ["number;total"]
    for number in job.track(range(1, orders + 1), unit="orders"):
        await asyncio.sleep(PAUSE)
        lines.append(f"{number};{number * 7 % 400}.00")
    async with sessions.begin() as session:
        found = await session.get_one(Export, export)
        found.text = "\n".join(lines)
    job.link("Download the CSV file", route="file", params={"number": export})
    return f"orders-{export}.csv"


@jobs.task(title="Write to {name}")
def write_to(name: str, text: str) -> None:
    """Send a letter; here it only goes to the live output."""
    current_job().log(f"To {name}: {text}")
