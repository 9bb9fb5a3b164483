"""Exit codes of the commands, the same as those of the worker; kept apart so that --help imports no worker."""

from __future__ import annotations

OK = 0
FAILED = 1
USAGE = 2
BUSY = 75
CONFIG = 78
STAY_DOWN = 79

MEANINGS = {
    OK: "it did what was asked",
    FAILED: "it could not; the last line on stderr says why",
    USAGE: "the command line is wrong",
    BUSY: "it is running elsewhere already, a later try may go through",
    CONFIG: "the app, its settings or its tables cannot be used as they are",
    STAY_DOWN: "a worker was stopped by `backburner workers stop`: do not start it again",
}
