"""The store: the only place that knows SQL."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from backburner.errors import InvalidUrl
from backburner.settings import source_of

if TYPE_CHECKING:
    from backburner.settings import Settings
    from backburner.store.store import Store


def open(settings: Settings) -> Store:  # noqa: A001 (reads as store.open)
    """The store these settings name. Raises `InvalidUrl` and `MissingExtra`.

    The one gate through which SQLAlchemy is imported, so that `import backburner` stays light.
    """
    module = import_module("backburner.store.store")
    try:
        store: Store = module.Store.of(settings)
    except InvalidUrl as error:
        # Only here is it known that the URL is the setting, and so where to look for who said it.
        source = source_of("url", settings.url)
        raise InvalidUrl(str(error.value), error.problem, error.remedy, source) from error
    return store
