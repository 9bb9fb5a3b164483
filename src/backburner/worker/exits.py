"""Exit codes of worker processes; the others than the 90s are also those of commands."""

from __future__ import annotations

STOPPED = 0
"""Ended because it was asked to, or because there was nothing left to do."""
FAILED = 1
"""Something unexpected."""
BUSY = 75
"""The command is running elsewhere already (EX_TEMPFAIL: a later try may go through)."""
CONFIG = 78
"""The app or its settings cannot be used (EX_CONFIG: starting again will not help)."""
STAY_DOWN = 79
"""All processes of a worker were told from elsewhere to stop: it must not be started again."""
RECYCLE = 90
"""A child process wants to be replaced: a limit was reached, or a thread of its was given up."""
GRACE_OVER = 91
"""A child process was told to stop, and jobs were still running when the grace was over."""
LEASE_OVER = 92
"""A child process ended itself because it could not show its lease while a guarded job ran."""
ORPHANED = 93
"""A child process ended because its supervisor was gone."""
