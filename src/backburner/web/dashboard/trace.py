"""`Trace`: a traceback as operators read it: frames of the app stand out, those of libraries are folded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import backburner

_OURS = str(Path(backburner.__file__).parent)
_FRAME = re.compile(r'^ *File "(?P<path>[^"]+)", line \d+(, in .*)?$')
_PACKAGE = re.compile(r"/(?:site|dist)-packages/([^/]+)")
_PYTHON = re.compile(r"/lib/python\d[\d.]*/|^<frozen ")
_MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Part:
    """Lines that belong together. `kind` is app, folded, note or error; `title` stands for folded ones."""

    kind: str
    text: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Trace:
    """The parts, and how many frames there are."""

    parts: tuple[Part, ...]
    frames: int

    @property
    def folded(self) -> bool:
        """Whether some frames are not shown at once."""
        return any(part.kind == "folded" for part in self.parts)


def trace_of(text: str) -> Trace:
    """The parts of a traceback as Python writes it; any text will do."""
    parts: list[Part] = []
    frames = 0
    for kind, package, lines in _pieces(text.rstrip("\n").split("\n")):
        frames += kind in ("app", "library")
        block = "\n".join(lines)
        if kind != "library":
            parts.append(Part(kind, block))
        elif parts and parts[-1].kind == "folded":
            before = parts[-1]
            parts[-1] = Part("folded", f"{before.text}\n{block}", f"{before.title}\n{package}")
        else:
            parts.append(Part("folded", block, package))
    return Trace(tuple(_titled(part) for part in parts), frames)


def _pieces(lines: list[str]) -> Iterator[tuple[str, str, list[str]]]:
    """Frames with their lines of code, and what stands between them."""
    place = 0
    while place < len(lines):
        frame = _FRAME.match(lines[place])
        start = place
        place += 1
        if frame is None:
            yield _kind_of_line(lines[start]), "", [lines[start]]
            continue
        indent = len(lines[start]) - len(lines[start].lstrip())
        while place < len(lines) and not _FRAME.match(lines[place]) and _indented(lines[place], indent):
            place += 1
        package = _library_of(frame["path"])
        yield "app" if package is None else "library", package or "", lines[start:place]


def _indented(line: str, indent: int) -> bool:
    return line.startswith(" " * (indent + 1)) and bool(line.strip())


def _kind_of_line(line: str) -> str:
    plain = not line.startswith((" ", "Traceback ", "During ", "The above ")) and bool(line.strip())
    return "error" if plain else "note"


def _library_of(path: str) -> str | None:
    """Whose frame it is; None for the app's own."""
    if path.startswith(_OURS) or "/site-packages/backburner/" in path:
        return "Backburner"
    package = _PACKAGE.search(path)
    if package is not None:
        return package[1]
    return "Python" if _PYTHON.search(path) else None


def _titled(part: Part) -> Part:
    if part.kind != "folded":
        return part
    names = part.title.split("\n")
    known = list(dict.fromkeys(names))
    shown = known[:_MOST_NAMED]
    whose = " and ".join(filter(None, (", ".join(shown[:-1]), shown[-1])))
    more = " and others" if len(known) > _MOST_NAMED else ""
    frames = "1 frame" if len(names) == 1 else f"{len(names):,} frames"
    return Part("folded", part.text, f"{frames} of {whose}{more}")
