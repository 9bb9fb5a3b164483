"""Does what a page says, step by step, in the folder it is started in: `python reader.py STEPS.json`.

A program of its own, because pages start workers, fork and change the working folder. Blocks without a file
name run in one module per page, as typed at a prompt; a block that begins with `# name.py` is saved under that
name and imported.
"""

import contextlib
import doctest
import importlib
import io
import json
import os
import signal
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

LOOSE = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
READY_SECONDS = 20


class Wrong(Exception):
    """The page says one thing, and another happened."""


class Reader:
    """One page being read."""

    def __init__(self) -> None:
        # As if the page were the program that runs: what needs a module of its own says so by its first line.
        self.module = types.ModuleType("__main__")
        self.module.__file__ = str(Path("page.py").absolute())
        self.module.__spec__ = None
        sys.modules["__main__"] = self.module
        self.printed = ""
        self.background: list[tuple[str, subprocess.Popen[str]]] = []

    def take(self, step: dict[str, Any]) -> None:
        """Do one step. Raises `Wrong`, or whatever the page's code raised."""
        kind = step["kind"]
        if kind == "file":
            self._save(step)
        elif kind == "python":
            self._run(step)
        elif kind == "shell":
            for command in step["commands"]:
                self._call(command, step)
        elif kind == "prints":
            self._compare(step)

    def close(self) -> None:
        """Stop what still runs in the background; each must end well."""
        for command, process in reversed(self.background):
            process.send_signal(signal.SIGINT)
            try:
                output, _ = process.communicate(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                raise Wrong(f"{command} did not end within 20 s of SIGINT") from None
            if process.returncode != 0:
                raise Wrong(f"{command} ended with {process.returncode}:\n{output}")

    def _save(self, step: dict[str, Any]) -> None:
        path = Path(step["file"])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(step["text"], encoding="utf-8")
        if path.suffix != ".py":
            return
        importlib.invalidate_caches()
        name = ".".join(path.with_suffix("").parts)
        for known in [found for found in sys.modules if found == name]:
            del sys.modules[known]
        self._attempt(step, lambda: importlib.import_module(name))

    def _run(self, step: dict[str, Any]) -> None:
        # As many empty lines before it as there are in the page: tracebacks name the page's own lines.
        code = compile("\n" * (step["line"] - 1) + step["text"], step["page"], "exec", dont_inherit=True)
        self._attempt(step, lambda: exec(code, self.module.__dict__))

    def _attempt(self, step: dict[str, Any], act: Any) -> None:
        output = io.StringIO()
        wanted = step.get("raises")
        try:
            with contextlib.redirect_stdout(output):
                act()
        except BaseException as error:
            self.printed = output.getvalue() + f"{type(error).__name__}: {error}\n"
            if type(error).__name__ != wanted:
                raise
        else:
            self.printed = output.getvalue()
            if wanted:
                raise Wrong(f"nothing was raised, {wanted} was expected")

    def _call(self, command: str, step: dict[str, Any]) -> None:
        if step.get("background") is not None:
            process = subprocess.Popen(
                command.split(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
            )
            self.background.append((command, process))
            return
        done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=60)
        self.printed = done.stdout + done.stderr
        wanted = int(step.get("exits") or 0)
        if done.returncode != wanted:
            raise Wrong(f"{command} ended with {done.returncode}, not {wanted}:\n{self.printed}")

    def _compare(self, step: dict[str, Any]) -> None:
        if not doctest.OutputChecker().check_output(step["text"], self.printed, LOOSE):
            raise Wrong(f"it printed\n{self.printed}\nthe page says\n{step['text']}")


def main() -> None:
    steps = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    sys.path.insert(0, os.getcwd())
    reader = Reader()
    for step in steps:
        try:
            reader.take(step)
        except BaseException as error:
            sys.stderr.write(f"\n{step['place']}: {type(error).__name__}: {error}\n")
            for _, process in reader.background:
                process.terminate()
            raise
    reader.close()
    sys.stdout.flush()
    # Threads of embedded workers that a page did not stop are not waited for.
    os._exit(0)


if __name__ == "__main__":
    main()
