"""How pages are rendered: every value escaped, a name that is missing is an error."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from backburner.version import VERSION

TEMPLATES = Path(__file__).parent / "templates"


def environment() -> Environment:
    """The templates of all pages."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["version"] = VERSION
    return made
