"""`serve` in a process of its own: it listens, and it stops while people watch."""

import re
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from backburner import Backburner
from backburner.errors import SettingsError
from backburner.web import serve
from backburner.web.passwords import hash_password
from tests.servers import free_port
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

WITH_LOGIN = """
import sys
from backburner import Backburner
from backburner.web import serve
jobs = Backburner(sys.argv[1], secret="a secret for tests, long enough", operators=(sys.argv[3],))
serve(jobs, port=int(sys.argv[2]), trusted_proxies=sys.argv[4:])
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


def attempt(url: str, address: str, password: str) -> int:
    """The status of one attempt to sign in, by a proxy that says for whom it asks."""
    with httpx.Client(base_url=url, headers={"x-forwarded-for": address, "origin": url}) as browser:
        [token] = re.findall(r'name="form" value="([^"]+)"', browser.get("/dashboard/login").text)
        fields = {"form": token, "name": "boss", "password": password}
        return browser.post("/dashboard/login", data=fields).status_code


@pytest.mark.parametrize(("trusted", "elsewhere"), [(["127.0.0.0/8"], 303), ([], 429)], ids=["trusted", "not"])
def test_a_trusted_proxy_says_who_guesses(sqlite_url: str, tmp_path: Path, trusted: list[str], elsewhere: int) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    operator = f"boss={hash_password('correct horse')}"
    with (tmp_path / "output").open("w") as output:
        server = subprocess.Popen(
            [sys.executable, "-c", WITH_LOGIN, sqlite_url, str(port), operator, *trusted], stdout=output, stderr=output
        )
    try:
        wait_until(lambda: answers(url), "the server answers")
        assert [attempt(url, "203.0.113.1", "guess") for _ in range(11)] == [403] * 10 + [429]
        assert attempt(url, "203.0.113.2", "correct horse") == elsewhere
    finally:
        server.kill()
        server.wait()


@pytest.mark.parametrize("address", ["*", "proxy.example.org", "10.0.0.7/24", ""])
def test_a_proxy_is_named_by_its_address(sqlite_url: str, address: str) -> None:
    jobs = Backburner(sqlite_url)
    with pytest.raises(SettingsError, match="trusted_proxy"):
        serve(jobs, development=True, trusted_proxies=[address])
    jobs.close()
