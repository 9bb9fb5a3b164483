"""The broker's URL, checked: there is such a transport, and its driver is installed."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from backburner.broker import rabbitmq
from backburner.errors import MissingExtra, SettingsError
from backburner.settings import masked, source_of

try:
    from kombu import transport as transports
except ImportError:
    transports = None

_EXAMPLE = "For example amqp://guest:guest@localhost// or redis://localhost:6379/0"
_REDIS = frozenset({"redis", "rediss", "sentinel"})
_EXTRAS = {"redis": "redis", "amqp": "broker", "kombu": "broker"}
CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 5.0
"""How long the broker may take for an answer."""
_RETURN_SECONDS = 60
"""A ring that a killed worker had taken comes back after this long, where the broker does not see it die."""


@dataclass(frozen=True, slots=True)
class Address:
    """One or several URLs of one broker, separated by semicolons: the next is tried when one is away."""

    url: str
    scheme: str

    @classmethod
    def of(cls, url: str) -> Address:
        """Check a URL. Raises `SettingsError` and `MissingExtra`; neither shows a password."""
        if transports is None:
            raise MissingExtra("kombu", "broker", "the setting broker")
        for one in url.split(";"):
            _check(one, url)
        return cls(url, _scheme(url))

    @property
    def shown(self) -> str:
        """The URL without its password."""
        return str(masked("broker", self.url))

    @property
    def count(self) -> int:
        """How many URLs there are."""
        return self.url.count(";") + 1

    @property
    def connection_options(self) -> dict[str, Any]:
        """What kombu hands on to the driver."""
        if self.scheme in rabbitmq.SCHEMES:
            return rabbitmq.connection_options(ANSWER_SECONDS)
        if self.scheme in _REDIS:
            limits = {"socket_connect_timeout": CONNECT_SECONDS, "socket_timeout": ANSWER_SECONDS}
            return {**limits, "visibility_timeout": _RETURN_SECONDS, "socket_keepalive": True}
        return {}

    @property
    def queue_arguments(self) -> dict[str, Any]:
        """How the queues of rings are declared."""
        return rabbitmq.queue_arguments() if self.scheme in rabbitmq.SCHEMES else {}


def _scheme(url: str) -> str:
    # kombu's own form for wrapped URLs: sqla+postgresql://...
    return url.partition("://")[0].partition("+")[0]


def _check(one: str, whole: str) -> None:
    scheme = _scheme(one)
    if "://" not in one or scheme not in transports.TRANSPORT_ALIASES:
        raise SettingsError(
            "broker", masked("broker", whole), f"{scheme[:30]!r} is no transport of kombu", _EXAMPLE, _source(whole)
        )
    try:
        if scheme in _REDIS:
            # Without its driver, kombu's own module for it fails in odd ways.
            import_module("redis")
        found: Any = transports.get_transport_cls(scheme)
        import_module(found.__module__)
    except ImportError as error:
        raise _missing(scheme, error.name or scheme) from error


def _missing(scheme: str, package: str) -> MissingExtra | SettingsError:
    extra = _EXTRAS.get(package.partition(".")[0])
    if extra is not None:
        return MissingExtra(package, extra, f"a broker at {scheme}://")
    return SettingsError(
        "broker", f"{scheme}://...", f"the package {package!r} is missing", f"Run: pip install 'kombu[{scheme}]'"
    )


def _source(url: str) -> str:
    return source_of("broker", url)
