"""The program `backburner`, and `python -m backburner.cli` for those that do not know where it is installed."""

from __future__ import annotations

import atexit
import gc

from backburner.cli import main


def program() -> None:
    """Run the command line in a process that is there for nothing else."""
    # Modules make no garbage while they are loaded: the group has the collector work again when that is done. Nor is
    # any looked for at the end, when all of it goes, unless an app has been imported: what it left open is closed then.
    # Both together are a quarter of a short command's time.
    gc.disable()
    main.collector_rests = True
    atexit.register(gc.freeze)
    main(prog_name="backburner")


if __name__ == "__main__":
    program()
