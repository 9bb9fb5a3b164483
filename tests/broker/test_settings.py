"""The setting `broker`: what is wrong with it is said before anything is stored, and never with the password."""

import subprocess
import sys

import pytest

from backburner import Backburner
from backburner.broker.rings import Names, Place
from backburner.errors import MissingExtra, SettingsError
from backburner.settings import Settings, masked


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("amqp://guest:s3cret@host//", "amqp://guest:***@host//"),
        ("redis://:s3cret@host:6379/0", "redis://:***@host:6379/0"),
        ("amqp://a:s3cret@one//;amqp://a:s3cret@two//", "amqp://a:***@two//"),
        ("redis://host/0?password=s3cret", "redis://host/0?password=***"),
    ],
)
def test_the_password_is_never_shown(url: str, shown: str) -> None:
    assert masked("broker", url) == shown
    assert "s3cret" not in repr(Settings(broker=url))


def test_what_is_no_url_is_refused_at_once(sqlite_url: str) -> None:
    with pytest.raises(SettingsError, match=r"broker.*is no URL.*amqp://"):
        Backburner(sqlite_url, broker="localhost")


def test_an_unknown_transport_is_refused_before_anything_is_stored(sqlite_url: str) -> None:
    jobs = Backburner(sqlite_url, broker="ampq://guest:s3cret@host//")
    task = jobs.task(print)
    with pytest.raises(SettingsError, match="'ampq' is no transport of kombu") as caught:
        task.enqueue("x")
    assert "s3cret" not in str(caught.value)
    assert caught.value.setting == "broker"
    plain = Backburner(sqlite_url)
    assert plain.find() == []
    plain.close()


def test_the_second_of_several_urls_is_checked_too(sqlite_url: str) -> None:
    with pytest.raises(SettingsError, match="'ampq' is no transport"):
        _ = Backburner(sqlite_url, broker="amqp://one//;ampq://two//").store


@pytest.mark.parametrize(
    ("missing", "url", "line"),
    [
        ("kombu", "amqp://host//", "pip install 'backburner[broker]'"),
        ("amqp", "amqp://host//", "pip install 'backburner[broker]'"),
        ("redis", "redis://host/0", "pip install 'backburner[redis]'"),
        ("pymongo", "mongodb://host/", "pip install 'kombu[mongodb]'"),
    ],
)
def test_a_missing_driver_names_the_line_that_installs_it(missing: str, url: str, line: str) -> None:
    program = (
        "import sys\n"
        f"sys.modules[{missing!r}] = None\n"
        "from backburner import Backburner\n"
        f"jobs = Backburner('sqlite:///nowhere/jobs.db', broker={url!r})\n"
        "try:\n    jobs.store\n"
        "except Exception as error:\n    print(type(error).__mro__, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert line in done.stdout, done.stdout + done.stderr
    assert (MissingExtra.__name__ if "backburner[" in line else SettingsError.__name__) in done.stdout


def test_all_processes_of_an_app_come_to_the_same_names_and_other_apps_to_others() -> None:
    def names(url: str, **settings: object) -> str:
        jobs = Backburner(url, **settings)
        found = Names.of(jobs.store).queue(Place("mail", 50))
        jobs.close()
        return found

    ours = names("postgresql://app:one@db.internal/shop")
    assert ours == names("postgresql+psycopg://worker:two@127.0.0.1:5433/shop")
    others = {
        names("postgresql://app@db.internal/other"),
        names("postgresql://app@db.internal/shop", schema="work"),
        names("postgresql://app@db.internal/shop", table_prefix="x_"),
    }
    assert len(others | {ours}) == 4


def test_names_of_queues_are_short_and_differ() -> None:
    names = Names("key")
    places = [
        Place(queue, priority)
        for queue in ("a", "a.5", "ü" * 100, "ü" * 99 + "x", "a/b", "a%2Fb")
        for priority in (5, -5)
    ]
    found = {names.queue(place) for place in places}
    assert len(found) == len(places)
    assert all(len(name.encode()) < 255 for name in found)
