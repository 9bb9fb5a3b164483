"""`python -m examples.operators`: the operators' pages of a shop at work, to look at, until Enter is pressed.

Printed is a line of JSON: the address, and the path of each page by name.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from examples.operators.shop import Shop


def main() -> None:
    """Serve it."""
    with tempfile.TemporaryDirectory(prefix="operators-") as folder, Shop(Path(folder)) as shop:
        print(json.dumps({"address": shop.address, "paths": shop.paths()}), flush=True)
        sys.stdin.readline()


if __name__ == "__main__":
    main()
