"""Where settings come from and what is refused."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from backburner.errors import SettingsError
from backburner.settings import Settings, describe, masked


def resolve(folder: Path, environ: dict[str, str] | None = None, **arguments: Any) -> Settings:
    return Settings.resolve(arguments, environ or {}, folder)


def test_defaults(tmp_path: Path) -> None:
    settings = resolve(tmp_path)
    assert settings == Settings()
    assert settings.url == "sqlite:///jobs.db"
    assert (settings.lease, settings.beat, settings.poll, settings.grace) == (30, 5, 1, 25)
    assert settings.keep_succeeded == settings.keep_skipped == 30 * 86_400
    assert settings.keep_failed == settings.keep_cancelled == settings.keep_interrupted == 60 * 86_400
    assert (settings.max_args_bytes, settings.max_result_bytes) == (256 * 1024, 1024 * 1024)


def test_arguments_beat_environment_beats_file_beats_default(tmp_path: Path) -> None:
    (tmp_path / "backburner.toml").write_text("concurrency = 2\nmax_crashes = 5\ngrace = 7\n")
    environ = {
        "BACKBURNER_CONCURRENCY": "3",
        "BACKBURNER_MAX_CRASHES": "6",
        "OTHER": "x",
        "BACKBURNER_APP": "a:b",
    }
    settings = resolve(tmp_path, environ, concurrency=4)
    assert (settings.concurrency, settings.max_crashes, settings.grace, settings.max_losses) == (
        4,
        6,
        7.0,
        10,
    )


def test_pyproject_is_found_upwards_and_backburner_toml_wins(tmp_path: Path) -> None:
    inner = tmp_path / "app" / "deep"
    inner.mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text('[tool.backburner]\nqueues = ["mail", "default"]\nmax-crashes = 4\n')
    (tmp_path / "app" / "pyproject.toml").write_text("[project]\nname = 'app'\n")
    settings = resolve(inner)
    assert settings.queues == ("mail", "default")
    assert settings.max_crashes == 4
    (tmp_path / "backburner.toml").write_text("max_crashes = 9\n")
    assert resolve(inner).max_crashes == 9
    assert resolve(inner).queues is None


def test_the_environment_is_read_by_type(tmp_path: Path) -> None:
    environ = {
        "BACKBURNER_AUTO_MIGRATE": "Yes",
        "BACKBURNER_QUEUES": "default, mail",
        "BACKBURNER_PRIORITIES": "10, 50",
        "BACKBURNER_POLL": "0.5",
        "BACKBURNER_SCHEMA": "none",
        "BACKBURNER_URL": " postgresql+psycopg://host/db ",
    }
    settings = resolve(tmp_path, environ)
    assert settings.auto_migrate is True
    assert settings.queues == ("default", "mail")
    assert settings.priorities == (10, 50)
    assert (settings.poll, settings.schema, settings.url) == (0.5, None, "postgresql+psycopg://host/db")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("BACKBURNER_LEASE", "soon"),
        ("BACKBURNER_LEASE", "nan"),
        ("BACKBURNER_CONCURRENCY", "2.5"),
        ("BACKBURNER_CONCURRENCY", "0"),
        ("BACKBURNER_AUTO_MIGRATE", "perhaps"),
        ("BACKBURNER_PRIORITIES", "high,low"),
        ("BACKBURNER_KEEP_FAILED", "-1"),
    ],
)
def test_a_wrong_value_in_the_environment_names_the_variable(tmp_path: Path, variable: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        resolve(tmp_path, {variable: value})
    assert variable in str(caught.value)
    assert value.removesuffix(",low") in str(caught.value)
    assert caught.value.setting == variable.removeprefix("BACKBURNER_").lower()
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("url", 5),
        ("url", ""),
        ("lease", "30"),
        ("lease", True),
        ("lease", float("nan")),
        ("lease", float("inf")),
        ("concurrency", 1.0),
        ("concurrency", True),
        ("auto_migrate", 1),
        ("queues", "default"),
        ("queues", []),
        ("queues", ["default", 5]),
        ("queues", ["default", " x"]),
        ("queues", ["default", "x" * 101]),
        ("priorities", [50, "60"]),
        ("priorities", [50, 40_000]),
        ("default_priority", -32_769),
        ("default_queue", ""),
        ("table_prefix", "1_"),
        ("table_prefix", "Jobs_"),
        ("table_prefix", "x; drop"),
        ("table_prefix", "jobs_\n"),
        ("schema", "a.b"),
        ("secret", "short"),
        ("files", ""),
        ("max_args_bytes", 0),
        ("keep_failed", -1),
        ("max_losses", 0),
    ],
)
def test_a_wrong_argument_is_refused_by_name(name: str, value: Any, tmp_path: Path) -> None:
    url = {"url": "postgresql://host/db"} if name == "schema" else {}
    with pytest.raises(SettingsError) as resolved:
        resolve(tmp_path, **{**url, name: value})
    with pytest.raises(SettingsError) as made:
        Settings(**{**url, name: value})
    assert resolved.value.setting == made.value.setting == name
    assert "argument" in str(made.value)


def test_contradictions(tmp_path: Path) -> None:
    (tmp_path / "backburner.toml").write_text("beat = 11\n")
    with pytest.raises(SettingsError, match="third of lease") as caught:
        resolve(tmp_path)
    assert str(tmp_path / "backburner.toml") in str(caught.value)
    with pytest.raises(SettingsError, match=r"default_queue.*not among"):
        Settings(queues=("mail",))
    with pytest.raises(SettingsError, match=r"default_priority.*not among"):
        Settings(priorities=(1, 2))
    with pytest.raises(SettingsError, match="SQLite has no schemas"):
        Settings(schema="jobs")
    assert Settings(queues=("mail",), default_queue="mail", lease=3, beat=1).lease == 3


def test_unknown_names_get_a_suggestion_and_do_not_tell_their_value(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="Did you mean 'secret'"):
        resolve(tmp_path, {"BACKBURNER_SECRTE": "hunter2hunter2hunter2"})
    with pytest.raises(SettingsError) as caught:
        resolve(tmp_path, {"BACKBURNER_SECRTE": "hunter2hunter2hunter2"})
    assert "hunter2" not in str(caught.value)
    with pytest.raises(SettingsError, match="Did you mean 'concurrency'"):
        resolve(tmp_path, concurency=3)
    (tmp_path / "backburner.toml").write_text("poling = 3\n")
    with pytest.raises(SettingsError, match=r"backburner\.toml"):
        resolve(tmp_path)


@pytest.mark.parametrize("text", ["lease = ", "tool = 5\n[tool", b"\xff\xfe"])
def test_a_damaged_file_is_a_settings_error(tmp_path: Path, text: str | bytes) -> None:
    (tmp_path / "backburner.toml").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SettingsError, match=r"backburner\.toml.*cannot be read"):
        resolve(tmp_path)


def test_a_tool_table_of_another_shape_is_a_settings_error(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool]\nbackburner = 5\n")
    with pytest.raises(SettingsError, match="no table"):
        resolve(tmp_path)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:hunter2@host/db",
        "postgresql://:hunter2@host:5432/db",
        "postgresql://me:a@hunter2/b@host/db",
        "postgresql://host/db?user=me&password=hunter2&x=1",
    ],
)
def test_passwords_and_secrets_are_never_shown(url: str, tmp_path: Path) -> None:
    secret = "hunter2hunter2hunter2"
    settings = Settings(url=url, secret=secret, former_secrets=(secret,), files="s3://key:hunter2@bucket/x")
    assert "hunter2" not in repr(settings)
    assert "host" in repr(settings)
    assert settings.url == url
    with pytest.raises(SettingsError) as caught:
        resolve(tmp_path, secret="hunter2")
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(caught.value.value)


def test_masking_leaves_other_text_alone() -> None:
    assert masked("url", "sqlite:///jobs.db") == "sqlite:///jobs.db"
    assert masked("url", "postgresql://me@host:5432/db") == "postgresql://me@host:5432/db"
    assert masked("secret", None) is None


def test_settings_are_frozen_and_described() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().lease = 3  # type: ignore[misc]
    rows = list(describe())
    assert len(rows) == len(dataclasses.fields(Settings))
    assert all(text and variable == f"BACKBURNER_{name.upper()}" for name, variable, _, text in rows)


@pytest.mark.parametrize(("url", "auto", "expected"), [
    ("sqlite:///x.db", None, True),
    ("sqlite:///x.db", False, False),
    ("postgresql://h/d", None, False),
    ("postgresql://h/d", True, True),
])  # fmt: skip
def test_only_sqlite_migrates_itself_unasked(url: str, auto: bool | None, expected: bool) -> None:
    assert Settings(url=url, auto_migrate=auto).migrates_itself is expected


ROUTES = (("reports.*", "reports"), ("*.mail", "mail"))


def test_routes_from_code_environment_and_file(tmp_path: Path) -> None:
    assert resolve(tmp_path, routes={"reports.*": "reports", "*.mail": "mail"}).routes == ROUTES
    from_environ = Settings.resolve(environ={"BACKBURNER_ROUTES": "reports.*=reports, *.mail = mail"}, folder=tmp_path)
    assert from_environ.routes == ROUTES
    (tmp_path / "backburner.toml").write_text('[routes]\n"reports.*" = "reports"\n"*.mail" = "mail"\n')
    assert Settings.resolve(environ={}, folder=tmp_path).routes == ROUTES


@pytest.mark.parametrize(
    ("routes", "problem"),
    [
        ("reports", "is no mapping"),
        ({"reports.*": 7}, "is no mapping"),
        ({"": "reports"}, "has an empty pattern"),
        ({"reports.*": "a,b"}, "is no queue name"),
        ({"reports.*": "elsewhere"}, "is not among queues"),
    ],
)
def test_routes_that_cannot_be(routes: Any, problem: str) -> None:
    with pytest.raises(SettingsError, match=problem):
        Settings(routes=routes, queues=("default", "reports"))


def test_signing_needs_a_secret() -> None:
    with pytest.raises(SettingsError, match="needs a secret"):
        Settings(signed=True)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"former_secrets": ("long enough for one",)}, "no secret that took their place"),
        ({"secret": "long enough for one", "former_secrets": ("short",)}, "one of them is too short"),
    ],
)
def test_former_secrets_that_cannot_be(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(SettingsError, match=problem) as caught:
        Settings(**settings)
    assert "long enough" not in str(caught.value)


def test_secrets_are_the_present_one_and_then_the_former() -> None:
    first, second = "the first of all secrets", "the second of all secrets"
    assert Settings(secret=second, former_secrets=(first,)).secrets == (second, first)
    assert Settings().secrets == ()
