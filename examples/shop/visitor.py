"""`Visitor`: a browser for programs. It sends the shop's own forms, and reads its pages and jobs."""

from __future__ import annotations

import http.client
import json
import time
import uuid
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

_PATIENCE_SECONDS = 60.0


class Unexpected(Exception):
    """The shop answered with something else than was asked for."""


class Visitor:
    """One person at the shop on this machine's `port`."""

    def __init__(self, port: int) -> None:
        self._port = port

    def get(self, path: str) -> bytes:
        """The body at a path."""
        return self._ask("GET", path)[1]

    def job(self, job_id: str) -> dict[str, Any]:
        """A job as the bar sees it."""
        found: dict[str, Any] = json.loads(self.get(f"/backburner/jobs/{job_id}"))
        return found

    def send(self, path: str, **fields: object) -> str:
        """Send a form; where it leads."""
        body = urlencode(fields, doseq=True).encode()
        return self._ask("POST", path, body, "application/x-www-form-urlencoded")[0]

    def upload(self, name: str, content: bytes) -> str:
        """Send a file to be imported; the job's id."""
        boundary = uuid.uuid4().hex
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
        body = head.encode() + content + f"\r\n--{boundary}--\r\n".encode()
        return job_in(self._ask("POST", "/import", body, f"multipart/form-data; boundary={boundary}")[0])

    def until(self, job_id: str, rows: int | None = None) -> dict[str, Any]:
        """The job as soon as it is done, or, with `rows`, has done so many."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < deadline:
            job = self.job(job_id)
            done = job["progress"]["done"] if job["progress"] else 0
            if job["done"] or (rows is not None and done >= rows):
                return job
            time.sleep(0.01)
        raise Unexpected(f"job {job_id} was not done within {_PATIENCE_SECONDS:g} s")

    def _ask(self, method: str, path: str, body: bytes = b"", kind: str | None = None) -> tuple[str, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_PATIENCE_SECONDS)
        try:
            connection.request(method, path, body, {"Content-Type": kind} if kind else {})
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.status not in (200, 303):
            raise Unexpected(f"{method} {path}: {answer.status} {content[:300].decode(errors='replace')}")
        return answer.headers.get("Location", ""), content


def job_in(address: str) -> str:
    """The id of the job an address follows. Raises `Unexpected`."""
    found = parse_qs(urlsplit(address).query).get("job")
    if not found:
        raise Unexpected(f"no job was enqueued: {address}")
    return found[0]
