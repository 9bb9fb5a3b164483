"""The pages of the documentation, taken apart: blocks of code with their marks, headings, links."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]

_FENCE = re.compile(r"(?P<indent> *)```(?P<language>\w*)\s*\Z")
_MARK = re.compile(r"<!-- (?P<mark>.+?) -->\Z")
_HEADING = re.compile(r"#{1,6} +(?P<text>.+?)\s*#*\Z")
_LINK = re.compile(r"(?<!`)\[(?P<text>(?:[^][]|\[[^][]*\])*)\]\((?P<target>[^()\s]+)(?: \"[^\"]*\")?\)")
_FILE = re.compile(r"# (?P<name>[\w./-]+\.(?:py|toml))\Z")


@dataclass(frozen=True)
class Block:
    """A fenced block. `line` is where its text begins; `marks` are the comments right above it."""

    page: Path
    line: int
    language: str
    text: str
    marks: tuple[str, ...]

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def file(self) -> str | None:
        """The name of the file this block is to be saved as, when its first line says so."""
        found = _FILE.match(self.text.split("\n", 1)[0])
        return found["name"] if found else None

    def mark(self, name: str) -> str | None:
        """What follows a mark's name; an empty text when nothing does, None when there is no such mark."""
        for mark in self.marks:
            if mark == name or mark.startswith(f"{name}: "):
                return mark[len(name) + 2 :]
        return None

    @property
    def commands(self) -> list[str]:
        """The commands of a block of shell, without prompt; lines that go on behind a backslash are joined."""
        text = self.text.replace("\\\n", " ")
        return [line[2:].strip() for line in text.splitlines() if line.startswith("$ ")]


@dataclass(frozen=True)
class Page:
    """One Markdown file."""

    path: Path

    @property
    def name(self) -> str:
        return str(self.path.relative_to(ROOT))

    @cached_property
    def lines(self) -> list[str]:
        return self.path.read_text(encoding="utf-8").splitlines()

    @cached_property
    def blocks(self) -> list[Block]:
        return list(self._blocks())

    @cached_property
    def prose(self) -> list[tuple[int, str]]:
        """Number and text of each line outside of blocks."""
        inside, found = False, []
        for number, line in enumerate(self.lines, 1):
            if line.lstrip().startswith("```"):
                inside = not inside
            elif not inside:
                found.append((number, line))
        return found

    @cached_property
    def anchors(self) -> set[str]:
        """The anchors that headings get, as GitHub makes them."""
        anchors: set[str] = set()
        for _, line in self.prose:
            found = _HEADING.match(line)
            if found:
                anchors.add(_unused(slug(found["text"]), anchors))
        return anchors

    @property
    def links(self) -> Iterator[tuple[int, str, str]]:
        """Line, text and target of every link and picture; the text may go on in the next line."""
        outside = dict(self.prose)
        text = "\n".join(outside.get(number, "") for number in range(1, len(self.lines) + 1))
        for found in _LINK.finditer(text):
            yield text.count("\n", 0, found.start()) + 1, found["text"], found["target"]

    @property
    def inline_code(self) -> Iterator[tuple[int, str]]:
        """Line and text of all code within sentences."""
        for number, line in self.prose:
            for found in re.findall(r"`([^`]+)`", line):
                yield number, found

    def _blocks(self) -> Iterator[Block]:
        marks: list[str] = []
        opened: tuple[int, str, str] | None = None
        text: list[str] = []
        for number, line in enumerate(self.lines, 1):
            if opened is not None:
                start, indent, language = opened
                if line == f"{indent}```":
                    yield Block(self.path, start, language, "\n".join(text) + "\n", tuple(marks))
                    opened, text, marks = None, [], []
                else:
                    text.append(line.removeprefix(indent))
                continue
            fence, mark = _FENCE.match(line), _MARK.match(line.strip())
            if fence:
                opened = (number + 1, fence["indent"], fence["language"])
            elif mark:
                marks.append(mark["mark"])
            elif line.strip():
                marks = []
        if opened is not None:
            raise ValueError(f"{self.name}:{opened[0] - 1}: this block is never closed")


def pages() -> list[Page]:
    """The README and every page under docs/."""
    return [Page(ROOT / "README.md"), *(Page(path) for path in sorted((ROOT / "docs").rglob("*.md")))]


def slug(heading: str) -> str:
    """The anchor GitHub gives a heading."""
    plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
    return re.sub(r"[^\w\- ]", "", plain.lower()).strip().replace(" ", "-")


def _unused(anchor: str, taken: set[str]) -> str:
    if anchor not in taken:
        return anchor
    return next(f"{anchor}-{n}" for n in range(1, 1000) if f"{anchor}-{n}" not in taken)
