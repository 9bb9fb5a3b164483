"""Log lines of workers: time, level and text on one line of stderr, with nothing in them that forges another."""

from __future__ import annotations

import logging
import sys
import time

from backburner.progress import printable


class LineFormatter(logging.Formatter):
    """`2026-10-05 14:03:01.250Z INFO    text`; a traceback follows on indented lines.

    Control characters are escaped: text of a job can neither move the cursor nor begin a line of its own.
    """

    def format(self, record: logging.LogRecord) -> str:
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(record.created))
        line = f"{at}.{int(record.msecs):03}Z {record.levelname:<7} {printable(record.getMessage())}"
        trace = "" if record.exc_info is None else self.formatException(record.exc_info)
        return "\n".join([line, *(f"    {printable(part)}" for part in trace.splitlines())])


def log_to_stderr(verbose: bool) -> None:
    """Set up logging of this process and of those it forks."""
    lines = logging.StreamHandler(sys.stderr)
    lines.setFormatter(LineFormatter())
    root = logging.getLogger()
    root.addHandler(lines)
    root.setLevel(logging.INFO)
    logging.getLogger("backburner").setLevel(logging.DEBUG if verbose else logging.INFO)
    # Alembic tells at INFO which backend it found, on every start.
    logging.getLogger("alembic").setLevel(logging.WARNING)
