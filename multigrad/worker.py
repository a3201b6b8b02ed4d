"""Work in a fresh process: one framework each, results as they come, and a death that costs one task only.

The parent sends one JSON object on standard input; the worker answers with JSON lines on the descriptor that was its
standard output. Whatever a framework prints goes to standard error.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

Message = dict[str, Any]


@dataclass(frozen=True)
class Death:
    """How a worker ended before its work was done."""

    reason: str
    """One line: what ended it, with the last line it wrote."""
    task: int | None
    """Index of the task it had begun, or None if it died before or between tasks."""


def run(
    target: str,
    arguments: Mapping[str, Any],
    *,
    environment: Mapping[str, str] | None = None,
    cpus: Sequence[int] | None = None,
    timeout_s: float = 600.0,
    address_space_bytes: int | None = None,
) -> Iterator[Message | Death]:
    """Call ``module:function(arguments)`` in a fresh interpreter and yield what it yields.

    A worker that yields ``{"begin": i}`` is understood to be busy with task i from then on: a :class:`Death` names it.

    Args:
        target: ``module:function``; the function takes the arguments and yields JSON objects.
        arguments: a JSON object.
        environment: variables to add to this process's own.
        cpus: the processors it may run on, set before the interpreter starts.
        timeout_s: how long it may be silent before it is killed.
        address_space_bytes: a limit on its address space (RLIMIT_AS).
    """
    variables = {**os.environ, **(environment or {}), "PYTHONPATH": _python_path()}
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "multigrad.worker", target],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=variables,
            text=True,
            encoding="utf-8",
            start_new_session=True,  # Ctrl-C reaches the parent alone, which ends the worker itself
            preexec_fn=_prepare(cpus, address_space_bytes),
        )
        try:
            yield from _listen(process, arguments, errors, timeout_s)
        finally:
            _kill(process)


def _python_path() -> str:
    # The worker must find this very multigrad, also when it was found through the working directory.
    root = str(Path(__file__).parent.parent)
    return os.pathsep.join([root, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))])


def _prepare(cpus: Sequence[int] | None, address_space_bytes: int | None) -> Any:
    if cpus is None and address_space_bytes is None:
        return None

    def prepare() -> None:
        if cpus is not None and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, cpus)
        if address_space_bytes is not None:
            import resource

            resource.setrlimit(resource.RLIMIT_AS, (address_space_bytes, address_space_bytes))

    return prepare


def _listen(process: Any, arguments: Mapping[str, Any], errors: Any, timeout_s: float) -> Iterator[Message | Death]:
    lines: queue.Queue[str | None] = queue.Queue()

    def read() -> None:
        for line in process.stdout:
            lines.put(line)
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(json.dumps(arguments))
        process.stdin.close()
    task: int | None = None
    done = False
    while True:
        try:
            line = lines.get(timeout=timeout_s)
        except queue.Empty:
            _kill(process)
            yield Death(f"gave no sign for {timeout_s:.0f} s and was killed", task)
            return
        if line is None:
            break
        try:
            message = json.loads(line)
        except json.JSONDecodeError:
            continue  # killed in the middle of a line
        if "begin" in message:
            task = message["begin"]
        elif "worker_done" in message:
            done = True
            continue
        yield message
    code = process.wait()
    if not done:
        yield Death(_last_words(code, errors), task)


def _last_words(code: int, errors: Any) -> str:
    errors.seek(0)
    lines = errors.read().decode("utf-8", "replace").strip().splitlines()
    ended = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    if code == -signal.SIGKILL:
        ended += " (out of memory?)"
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return f"{ended}: {last}" if last else ended


def _kill(process: Any) -> None:
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    process.stdout.close()


def main() -> None:
    """Run the worker's side."""
    started = time.perf_counter()
    # Frameworks print; the answers go to a descriptor that they do not know.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    arguments = json.load(sys.stdin)
    module, _, name = sys.argv[1].partition(":")
    arguments["worker_started"] = started
    for message in getattr(import_module(module), name)(arguments):
        answers.write(json.dumps(message) + "\n")
        answers.flush()
    answers.write('{"worker_done": true}\n')
    answers.flush()


if __name__ == "__main__":
    main()
