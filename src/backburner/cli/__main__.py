"""`python -m backburner.cli`, for programs that start the command line without knowing where it is installed."""

from __future__ import annotations

from backburner.cli import main

main(prog_name="backburner")
