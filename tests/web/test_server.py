"""`serve` in a process of its own: it listens, and it stops while people watch."""

import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from backburner import Backburner
from tests.waiting import wait_until
from tests.web.shop import events_of

OWN = """
import sys
from backburner import Backburner
from backburner.web import serve
serve(Backburner(sys.argv[1]), port=int(sys.argv[2]), development=True)
"""
# Another app's uvicorn, with its own settings: nobody tells the mounted app that the server stops.
MOUNTED = """
import sys, uvicorn
from fastapi import FastAPI
from backburner import Backburner
from backburner.web import web_app
app = FastAPI()
app.mount("/", web_app(Backburner(sys.argv[1]), development=True))
uvicorn.run(app, port=int(sys.argv[2]), log_level="warning")
"""


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/livez").status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.parametrize("program", [OWN, MOUNTED], ids=["serve", "mounted"])
def test_a_server_stops_while_somebody_watches(sqlite_url: str, program: str, tmp_path: Path) -> None:
    jobs = Backburner(sqlite_url)

    @jobs.task(name="idle")
    def idle() -> None: ...

    job = idle.enqueue()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with (tmp_path / "output").open("w") as output:
        server = subprocess.Popen([sys.executable, "-c", program, sqlite_url, str(port)], stdout=output, stderr=output)
    try:
        wait_until(lambda: answers(url), "the server answers")
        with httpx.stream("GET", f"{url}/jobs/{job.id}/events", timeout=25) as response:
            text = ""
            for chunk in response.iter_text():
                if "snapshot" in chunk:
                    server.terminate()
                text += chunk
        # It ended by itself: a stream that is cut off raises.
        assert [kind for kind, _, _ in events_of(text)] == ["snapshot"]
        server.wait(20)
        assert "Traceback" not in (tmp_path / "output").read_text()
    finally:
        server.kill()
        server.wait()
        jobs.close()
