"""pgqueuer's consumer, run from code: `pgqueuer_worker.py [BATCH]`. The command of release 1.6 does not start with the
release of typer that it asks for.
"""

from __future__ import annotations

import asyncio
import signal
import sys

import uvloop
from pgqueuer_app import consumer


async def main() -> None:
    """Work until SIGTERM."""
    options = {"batch_size": int(sys.argv[1])} if len(sys.argv) > 1 else {}
    work = asyncio.ensure_future((await consumer()).run(**options))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, work.cancel)
    try:
        await work
    except asyncio.CancelledError:
        return


uvloop.install()
asyncio.run(main())
