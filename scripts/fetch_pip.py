"""Download pip's wheel from the package index into a folder and print its path.

Debian's Python has no ensurepip until `python3-venv` is installed, which takes root; this takes nothing. It
runs on the bare interpreter. The version is the one of constraints.txt; the checksum is the index's.
"""

import hashlib
import html
import os
import re
import sys
import urllib.request
from pathlib import Path
from urllib.parse import urldefrag, urljoin

CONSTRAINTS = Path(__file__).parent / "constraints.txt"
INDEX = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple")


def fetch(url: str) -> bytes:
    """Return what stands at an address. Raises OSError when it cannot be had."""
    with urllib.request.urlopen(url, timeout=60) as answer:
        return bytes(answer.read())


def pinned_version() -> str:
    """Return the version of pip that constraints.txt names."""
    pinned = re.search(r"^pip==(\S+)", CONSTRAINTS.read_text(), re.MULTILINE)
    if pinned is None:
        raise SystemExit(f"{CONSTRAINTS} pins no pip; run scripts/pin")
    return pinned[1]


def fetch_pip(folder: Path) -> Path:
    """Download the wheel and return its path. Raises OSError without a network."""
    page = f"{INDEX.rstrip('/')}/pip/"
    name = f"pip-{pinned_version()}-py3-none-any.whl"
    links = [html.unescape(link) for link in re.findall(r'href="([^"]+)"', fetch(page).decode())]
    link = next((link for link in links if urldefrag(link).url.endswith(f"/{name}")), None)
    if link is None:
        raise SystemExit(f"{page} offers no {name}")
    url, checksum = urldefrag(urljoin(page, link))
    content = fetch(url)
    if checksum != f"sha256={hashlib.sha256(content).hexdigest()}":
        raise SystemExit(f"{url} does not have the checksum that {page} names: {checksum!r}")
    path = folder / name
    path.write_bytes(content)
    return path


if __name__ == "__main__":
    print(fetch_pip(Path(sys.argv[1])))
