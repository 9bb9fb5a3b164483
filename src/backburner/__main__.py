"""`python -m backburner`: the command line, where its program is not on the path."""

from __future__ import annotations

from backburner.cli import main

if __name__ == "__main__":
    main(prog_name="backburner")
