"""Work in a fresh process: one framework each, results as they come, and a death that costs one task only.

The worker reads one JSON object from its standard input; it answers with JSON lines on the descriptor that was its
standard output. Whatever a framework prints goes to standard error.

Workers can take turns: the arguments of a worker hold a function ``turn``, which sends ``{"turn": …}`` and returns when
the parent asks for the message after that one. Until then nobody takes its silence for a fault.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, TextIO

from . import entry

Message = dict[str, Any]


@dataclass(frozen=True)
class Death:
    """How a worker ended before its work was done."""

    reason: str
    """One line: what ended it, with the last line it wrote."""
    task: int | None
    """Index of the task it had begun, or None if it died before or between tasks."""


_LIMIT = "MULTIGRAD_ADDRESS_SPACE_BYTES"

SILENT = "gave no sign"
"""How the reason begins for which a worker was killed that said nothing for too long."""

END_S = 5.0
"""How long a worker may take to end after its last answer."""


def run(
    target: str,
    arguments: Mapping[str, Any],
    *,
    environment: Mapping[str, str | None] | None = None,
    cpus: Sequence[int] | None = None,
    timeout_s: float = 600.0,
    address_space_bytes: int | None = None,
    root: Path | None = None,
) -> Iterator[Message | Death]:
    """Call ``module:function(arguments)`` in a fresh interpreter and yield what it yields.

    A worker that yields ``{"begin": i}`` is understood to be busy with task i from then on, until it yields a message
    with ``"end"``: a :class:`Death` names it. One that yields ``{"turn": …}`` stands still until the next message is
    asked for.

    Args:
        target: ``module:function``; the function takes the arguments and yields JSON objects.
        arguments: a JSON object.
        environment: variables to add to this process's own; None takes one away.
        cpus: the processors it may run on, set before the interpreter starts.
        timeout_s: how long it may be silent before it is killed, unless it waits for its turn.
        address_space_bytes: a limit on its address space (RLIMIT_AS).
        root: folder of the multigrad that it uses, such as a checkout of another commit; None is this very one.
    """
    limit = None if address_space_bytes is None else str(address_space_bytes)
    own = {"PYTHONPATH": _python_path(root), entry.WORKER: "1", _LIMIT: limit}
    variables = {
        name: value for name, value in {**os.environ, **(environment or {}), **own}.items() if value is not None
    }
    # Files instead of pipes: a worker that dies before it has read cannot block the parent or end it by SIGPIPE.
    ours, theirs = socket.socketpair()
    with ours, tempfile.TemporaryFile() as errors, tempfile.TemporaryFile("w+", encoding="utf-8") as given:
        json.dump(arguments, given)
        given.seek(0)
        with theirs, _on(cpus):
            process = subprocess.Popen(
                [sys.executable, "-m", "multigrad.worker", target, str(os.getpid()), str(theirs.fileno())],
                stdin=given,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=variables,
                pass_fds=[theirs.fileno()],
                text=True,
                encoding="utf-8",
                cwd=root,  # `python -m` looks into the working directory before anything else
                start_new_session=True,  # Ctrl-C reaches the parent alone, which ends the worker itself
            )
        try:
            yield from _listen(process, errors, ours, timeout_s)
        finally:
            _kill(process)


def target_of(function: Callable[..., Iterator[Message]]) -> str:
    """Return how :func:`run` names a function of a module."""
    return f"{function.__module__}:{function.__name__}"


def function_of(target: str) -> Callable[..., Iterator[Message]]:
    """Return the function that :func:`run` calls by that name."""
    module, _, name = target.partition(":")
    function: Callable[..., Iterator[Message]] = getattr(import_module(module), name)
    return function


def run_here(messages: Iterator[Message]) -> Iterator[Message | Death]:
    """Yield what a worker's function yields in this very process, and a :class:`Death` where that would be its end."""
    task: int | None = None
    try:
        for message in messages:
            task = message.get("begin", None if "end" in message else task)
            yield message
    except SystemExit as error:
        yield Death(_left(error), task)


def _left(error: BaseException) -> str:
    how = f"sys.exit({error.code!r})" if isinstance(error, SystemExit) else type(error).__name__
    return f"the operation ended the process: {how}"


def _python_path(root: Path | None) -> str:
    # The worker must find this very multigrad, also when it was found through the working directory.
    inherited = [str(Path(p).absolute()) for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p]
    return os.pathsep.join([str(root or Path(__file__).parent.parent.parent), *inherited])


@contextlib.contextmanager
def _on(cpus: Sequence[int] | None) -> Iterator[None]:
    """Give this thread an affinity for the moment in which a child inherits it."""
    # A function run between fork and exec would do it too, but is unsafe in a process that has threads.
    if cpus is None or not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _listen(process: Any, errors: Any, turns: socket.socket, timeout_s: float) -> Iterator[Message | Death]:
    lines: queue.Queue[str | None] = queue.Queue()

    def read() -> None:
        # A killed worker's pipe may be closed under this thread.
        with contextlib.suppress(ValueError, OSError):
            for line in process.stdout:
                lines.put(line)
        lines.put(None)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    task: int | None = None
    done = False
    while True:
        try:
            line = lines.get(timeout=timeout_s)
        except queue.Empty:
            if done:
                return
            _kill(process)
            yield Death(f"{SILENT} for {timeout_s:.0f} s and was killed", task)
            return
        if line is None:
            break
        try:
            message = json.loads(line)
        except json.JSONDecodeError:
            continue  # killed in the middle of a line
        if "worker_done" in message:
            # What it started may have its pipe still, and never let go of it.
            done, timeout_s = True, END_S
            continue
        if "warning" in message:
            entry.say_once(message["warning"])
            continue
        if "begin" in message:
            task = message["begin"]
        elif "end" in message:
            task = None
        if "turn" not in message:
            yield message
            continue
        with _stopped(process):
            yield message
        # One that died while it waited is heard of at the next line; no SIGPIPE, which may end this process.
        with contextlib.suppress(OSError):
            turns.send(b".", socket.MSG_NOSIGNAL)
    reader.join()
    if done:
        # The answers are complete: how a framework's own threads end is nobody's business, and some never do.
        return
    yield Death(_last_words(process.wait(), errors), task)


def _last_words(code: int, errors: Any) -> str:
    errors.seek(0)
    lines = errors.read().decode("utf-8", "replace").strip().splitlines()
    signals = {s.value: s.name for s in signal.Signals}
    ended = f"killed by {signals.get(-code, f'signal {-code}')}" if code < 0 else f"ended with exit code {code}"
    if code == -signal.SIGKILL:
        ended += " (out of memory?)"
    # Of a process that aborts the last words are its stack, after what it had to say.
    words = [line.strip() for line in lines if not line.strip().startswith(("@", "***"))]
    last = next((line for line in reversed(words) if line), "")
    return f"{ended}: {last}" if last else ended


@contextlib.contextmanager
def _stopped(process: Any) -> Iterator[None]:
    """Stop a worker while others have their turn: the threads of OpenBLAS spin on when their product is done."""
    _signal(process, signal.SIGSTOP)
    try:
        yield
    finally:
        _signal(process, signal.SIGCONT)


def _signal(process: Any, which: signal.Signals) -> None:
    # The whole group: a framework's compiler may have processes of its own.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, which)


def _kill(process: Any) -> None:
    _signal(process, signal.SIGKILL)
    process.wait()
    process.stdout.close()


def _die_with(parent: int) -> None:
    """Ask the kernel to end this process with its parent, so that a killed parent leaves no worker behind."""
    set_parent_death_signal = 1
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)  # it died before the kernel knew


def main() -> None:
    """Run the worker's side."""
    _die_with(int(sys.argv[2]))
    limit = os.environ.pop(_LIMIT, None)
    if limit is not None:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (int(limit), int(limit)))
    # Frameworks print; the answers go to a descriptor that they do not know.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    arguments = json.load(sys.stdin)
    arguments["turn"] = _turn(answers, socket.socket(fileno=int(sys.argv[3])))
    entry.tell = lambda text: _say(answers, {"warning": text})
    # A copy of this process is no worker: what it would say is lost.
    os.register_at_fork(after_in_child=lambda: os.dup2(2, answers.fileno()))
    try:
        for message in function_of(sys.argv[1])(arguments):
            _say(answers, message)
    except (SystemExit, KeyboardInterrupt, GeneratorExit) as error:
        # Ctrl-C reaches the parent alone: it is somebody's code that raises these.
        print(_left(error), file=sys.stderr, flush=True)  # noqa: T201
        sys.exit(1)
    _say(answers, {"worker_done": True})


_saying = threading.Lock()


def _say(answers: TextIO, message: Message) -> None:
    with _saying:
        answers.write(json.dumps(message) + "\n")
        answers.flush()


def _turn(answers: TextIO, turns: socket.socket) -> Callable[[Any], None]:
    turns.set_inheritable(False)  # a compiler that is started here has no turns to take

    def turn(what: Any) -> None:
        """Say what it is a turn at, and return when it has come."""
        _say(answers, {"turn": what})
        if not turns.recv(1):
            sys.exit(1)  # whoever gave turns is gone

    return turn


if __name__ == "__main__":
    main()
