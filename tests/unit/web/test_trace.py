"""Tracebacks as operators read them."""

from pathlib import Path

import backburner
from backburner.web.dashboard.trace import trace_of

OURS = Path(backburner.__file__).parent
TEXT = f"""Traceback (most recent call last):
  File "{OURS}/worker/executor.py", line 210, in _call
    return call()
           ^^^^^^
  File "/app/.venv/lib/python3.11/site-packages/psycopg/cursor.py", line 97, in execute
    raise ex
  File "/srv/shop/orders/tasks.py", line 88, in export_orders
    for row in track(rows):
  File "/usr/lib/python3.11/json/decoder.py", line 1, in decode
    pass
  File "/srv/shop/orders/query.py", line 41, in load_orders
    yield from cursor
shop.OperationalError: server closed the connection
HINT: try again
"""


def test_frames_of_libraries_are_folded_and_those_of_the_app_stand_out() -> None:
    trace = trace_of(TEXT)
    assert [part.kind for part in trace.parts] == ["note", "folded", "app", "folded", "app", "error", "error"]
    assert [part.title for part in trace.parts if part.kind == "folded"] == [
        "2 frames of Backburner and psycopg",
        "1 frame of Python",
    ]
    assert trace.frames == 5
    assert "\n".join(part.text for part in trace.parts) == TEXT.rstrip("\n"), "nothing is lost"


def test_any_text_will_do() -> None:
    assert [part.kind for part in trace_of("killed by signal 9").parts] == ["error"]
    assert trace_of("").frames == 0
    only = trace_of(f'  File "{OURS}/a.py", line 1, in x\n')
    assert only.folded
    assert only.parts[0].title == "1 frame of Backburner"
