"""`Database`: the store and its bell, opened when first needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from backburner import store as stores
from backburner.settings import Settings

if TYPE_CHECKING:
    from backburner.broker import BrokerBell, BrokerState
    from backburner.notify import Bell
    from backburner.store.store import Store


class Database:
    """The one store of a `Backburner`. Opening it connects to nothing yet.

    There is no lock: a fork could inherit it locked. Two threads that come first at once make two stores, and
    both use the one that was put down first.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.open_store: Callable[[Settings], Store] = stores.open
        self.adapt_bell: Callable[[Bell], Bell] = lambda bell: bell
        self._stores: dict[str, Store] = {}
        self._bells: dict[str, Bell] = {}

    @property
    def store(self) -> Store:
        """The store. Raises `InvalidUrl`, `SettingsError` for the broker, and `MissingExtra`."""
        found = self._stores.get("store")
        if found is None:
            if self.settings.broker is not None:
                # Before anything is stored: what is wrong with it must not show after a commit.
                _brokers().check(self.settings.broker)
            found = self._stores.setdefault("store", self.open_store(self.settings))
        return found

    @property
    def bell(self) -> Bell:
        """What to ring after a commit that made jobs ready."""
        found = self._bells.get("bell")
        if found is None:
            # By name, as the store: bells import SQLAlchemy.
            store, broker = self.store, self.settings.broker
            made: Bell = (
                import_module("backburner.notify").open_bell(store)
                if broker is None
                else _brokers().open_bell(store, broker)
            )
            found = self._bells.setdefault("bell", self.adapt_bell(made))
        return found

    @contextmanager
    def replaced(
        self, settings: Settings, open_store: Callable[[Settings], Store], adapt_bell: Callable[[Bell], Bell]
    ) -> Iterator[None]:
        """Be another database for a while, as tests need it; what was open before is put back as it was."""
        kept = dict(vars(self))
        self.settings, self.open_store, self.adapt_bell = settings, open_store, adapt_bell
        self._stores, self._bells = {}, {}
        try:
            yield
        finally:
            self.close()
            vars(self).update(kept)

    @property
    def broker(self) -> BrokerState | None:
        """How this process sees the broker; None when there is none in the settings."""
        return None if self.settings.broker is None else cast("BrokerBell", self.bell).state

    def close(self) -> None:
        """Close connections and bell; the next use opens them again."""
        for bell in [self._bells.pop(name) for name in list(self._bells)]:
            bell.close()
        for store in [self._stores.pop(name) for name in list(self._stores)]:
            store.close()


def _brokers() -> Any:
    return import_module("backburner.broker")
