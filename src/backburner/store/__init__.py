"""The store: the only place that knows SQL."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backburner.settings import Settings
    from backburner.store.store import Store


def open(settings: Settings) -> Store:  # noqa: A001 (reads as store.open)
    """The store these settings name. Raises `InvalidUrl` and `MissingExtra`.

    The one gate through which SQLAlchemy is imported, so that `import backburner` stays light.
    """
    module = import_module("backburner.store.store")
    store: Store = module.Store.of(settings)
    return store
