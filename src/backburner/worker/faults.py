"""From an exception to the fault that failures of its kind have in common."""

from __future__ import annotations

import linecache
import os
import socket
import sys
import sysconfig
import traceback
from functools import lru_cache
from types import CodeType

from backburner.fault import Fault, fault_at
from backburner.job import ClaimedJob
from backburner.worker.verdict import text_of

_HOST = socket.gethostname()
_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_LIBRARIES = tuple(
    os.path.abspath(path) + os.sep for path in {sysconfig.get_path(name) for name in ("stdlib", "platstdlib")} if path
)
_PACKAGES = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
STOPPED = "stopped by its worker"
"""Where a job failed that did not notice that it was to stop."""


def fault_of(error: BaseException, job: ClaimedJob) -> Fault:
    """The fault of an attempt that ended with `error`."""
    kind, message = type(error).__name__, text_of(error)
    frame = _top_frame(error)
    if frame is None:
        return fault_at(kind, STOPPED, message, job.task, job.queue, _HOST, line=f"{job.task}\0{STOPPED}")
    code, number = frame
    file = _short(code.co_filename)
    name = code.co_name
    line = _line(code.co_filename, number)
    # By its text, not by its number: an edit above it makes no new group.
    told = f"{file}\0{name}\0{line or number}"
    return fault_at(kind, f"{file}:{number} in {name}", message, job.task, job.queue, _HOST, line=told)


def _top_frame(error: BaseException) -> tuple[CodeType, int] | None:
    """The innermost frame of the app, else the innermost one at all: its code, and the line."""
    frames = [(frame.f_code, number) for frame, number in traceback.walk_tb(error.__traceback__)]
    outside = [one for one in frames if not one[0].co_filename.startswith(_OURS)]
    own = [one for one in outside if is_own(one[0].co_filename)]
    found = own or outside
    return found[-1] if found else None


def is_own(file: str) -> bool:
    """Whether a file is the app's: neither Backburner's, nor a library's."""
    if file.startswith((_OURS, "<frozen ")) or any(one in file for one in _PACKAGES):
        return False
    return not file.startswith(_LIBRARIES)


@lru_cache(maxsize=1024)
def _short(file: str) -> str:
    """The file as the app's people know it: below the folder that Python looks for modules in."""
    folders = sorted({os.path.abspath(folder) + os.sep for folder in sys.path}, key=len, reverse=True)
    return next((file[len(folder) :] for folder in folders if file.startswith(folder)), file)


def _line(file: str, number: int) -> str:
    return linecache.getline(file, number).strip()
