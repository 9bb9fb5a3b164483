"""What `backburner` itself exports: few names, all meant."""

import types

import backburner

MOST_NAMES = 20


def public_names() -> list[str]:
    return list(getattr(backburner, "__all__", ()))


def test_the_root_exports_at_most_twenty_names() -> None:
    assert len(public_names()) <= MOST_NAMES
    assert len(set(public_names())) == len(public_names())


def test_every_exported_name_exists() -> None:
    assert [name for name in public_names() if not hasattr(backburner, name)] == []


def test_nothing_public_is_unlisted() -> None:
    found = {
        name
        for name, value in vars(backburner).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType) and name != "annotations"
    }
    assert found - set(public_names()) == set()
