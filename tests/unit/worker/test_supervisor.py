"""What a supervisor hears of its children."""

import os

from backburner.clock import boot_seconds
from backburner.worker import WorkerOptions
from backburner.worker.children import Child
from backburner.worker.page import Page
from backburner.worker.supervisor import Supervisor


def test_a_child_that_dies_in_the_middle_of_its_greeting_says_nothing() -> None:
    """Its end tells the rest; the others must not lose their supervisor by it."""
    reading, writing = os.pipe()
    one = Child(0, "worker", os.getpid(), Page(2), boot_seconds(), reading)
    supervisor = Supervisor("shop.tasks:jobs", WorkerOptions())
    os.write(writing, b'{"error": "no such')
    supervisor._hear(one)
    assert one.greeting == reading
    os.close(writing)
    supervisor._hear(one)
    assert (one.greeting, one.ready) == (-1, False)
