"""What takes long."""

import io
import time

from backburner import current_job, track
from backburner.contrib.django import jobs
from examples.django_shop.catalog.models import Product


@jobs.task(title="Export {rows} products")
def export(rows: int, pause: float = 0.02) -> int:
    """Write products into a file that can be downloaded."""
    lines = ["name;price"]
    for product in track(list(Product.objects.order_by("pk")[:rows]), unit="products"):
        lines.append(f"{product.name};{product.price}")
        time.sleep(pause)  # a slow supplier
    job = current_job()
    if job is not None:
        job.attach(io.BytesIO("\n".join(lines).encode()), "products.csv", "text/csv")
    return len(lines) - 1
