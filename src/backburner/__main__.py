"""`python -m backburner`: the command line, where its program is not on the path."""

from __future__ import annotations

from backburner.cli.__main__ import program

if __name__ == "__main__":
    program()
