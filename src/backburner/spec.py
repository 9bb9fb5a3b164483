"""How another process finds an app's object: `module:name`, or `/path/file.py:name`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType


def spec_of(app: object, homes: Iterable[str]) -> str | None:
    """Where `app` is; None when it is no module's attribute.

    The modules in `homes` come first, then any other, and last the script that runs: that one must bear being
    imported as well.
    """
    found = [spec for name in dict.fromkeys([*homes, *sys.modules]) if (spec := _spec_in(name, app)) is not None]
    return min(found, key=lambda spec: spec.startswith("/"), default=None)


def _spec_in(module_name: str, app: object) -> str | None:
    module = sys.modules.get(module_name)
    names = vars(module).items() if isinstance(module, ModuleType) else ()
    name = next((name for name, value in list(names) if value is app), None)
    if name is None:
        return None
    if module_name != "__main__":
        return f"{module_name}:{name}"
    file = getattr(module, "__file__", None)
    return f"{Path(file).absolute()}:{name}" if file is not None else None
