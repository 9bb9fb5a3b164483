"""Changing many products: at once when they are few, in the background when they are many."""

from __future__ import annotations

from dataclasses import dataclass

from backburner import Job
from examples.shop.products import CannotChange, Choice, Product, Products
from examples.shop.tasks import products, set_status

MOST_AT_ONCE = 20
_VERBS = {"active": "Activate", "archived": "Archive"}


@dataclass(frozen=True, slots=True)
class Changed:
    """What was changed at once, and what could not be."""

    products: int
    refused: tuple[tuple[Product, str], ...]


def change_status(choice: Choice, status: str, owner: str) -> Changed | Job:
    """Change products: at most 20 here and now, more in the background. The answer says which it was."""
    if products.count(choice, MOST_AT_ONCE + 1) <= MOST_AT_ONCE:
        return _change_now(products, choice, status)
    title = f"{_VERBS[status]} {products.count(choice):,} products"
    return set_status.options(title=title, owner=owner).enqueue(choice, status)


def _change_now(products: Products, choice: Choice, status: str) -> Changed:
    changed, refused = 0, []
    chosen = list(products.each(choice))
    with products.engine.begin() as connection:
        for product in chosen:
            try:
                products.change(connection, product, status)
                changed += 1
            except CannotChange as error:
                refused.append((product, str(error)))
    return Changed(changed, tuple(refused))
