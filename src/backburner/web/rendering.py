"""How pages are rendered: every value escaped, a name that is missing is an error."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from backburner.version import VERSION

TEMPLATES = Path(__file__).parent / "templates"


def environment() -> Environment:
    """The templates of all pages. Those with icons are rendered with `root`, where the app is mounted."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals |= {"version": VERSION, "icon": _icon}
    return made


@pass_context
def _icon(context: Context, name: str) -> Markup:
    # Seventeen of them are in each row of a list: a macro would take as long as all else of the row.
    return _drawn(context["root"], name)


@lru_cache(maxsize=256)
def _drawn(root: str, name: str) -> Markup:
    start = Markup('<svg class="bb-icon" viewBox="0 0 16 16" aria-hidden="true"><use href="')
    return start + root + Markup("/static/icons.svg#") + name + Markup('"/></svg>')
