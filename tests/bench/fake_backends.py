"""Backends whose true cost, or whose fault, is known."""

from __future__ import annotations

import itertools
import os
import resource
import signal
import time
from pathlib import Path

import numpy as np
from multigrad.backends.numpy_backend import NumPyBackend, NumPySession

from multigrad.backend import Inaccuracy

CALL_S = 1e-3
"""What a call takes on the fake devices, in seconds."""


def spin(until: float) -> None:
    while time.perf_counter() < until:
        pass


class Pending(np.ndarray):
    """An array that is ready at a known time."""

    ready = 0.0


class QueueSession(NumPySession):
    """A device that works off a queue, one call after the other, while the host goes on."""

    waits = True

    def __init__(self, backend):
        super().__init__(backend, np)
        self.free = 0.0

    def function(self, operation, parameters, variant, mode):
        inner = super().function(operation, parameters, variant, mode)

        def call(*arrays):
            outputs = [np.asarray(a).view(Pending) for a in inner(*arrays)]
            self.free = max(self.free, time.perf_counter()) + CALL_S
            for output in outputs:
                output.ready = self.free
            return tuple(outputs)

        return call

    def wait(self, arrays):
        if self.waits:
            spin(max((getattr(a, "ready", 0.0) for a in arrays), default=0.0))


class ForgetfulSession(QueueSession):
    """The same device, by somebody who forgot to wait."""

    waits = False


class BusySession(NumPySession):
    """Every call takes a known time of the processor, and returns when it is done."""

    def __init__(self, backend):
        super().__init__(backend, np)

    def function(self, operation, parameters, variant, mode):
        inner = super().function(operation, parameters, variant, mode)

        def call(*arrays):
            end = time.perf_counter() + CALL_S
            outputs = inner(*arrays)
            spin(end)
            return outputs

        return call


class TimedSession(NumPySession):
    """The number of a call says how long it takes, in seconds: 0 is the first."""

    def __init__(self, backend):
        super().__init__(backend, np)

    def function(self, operation, parameters, variant, mode):
        inner = super().function(operation, parameters, variant, mode)
        numbers = itertools.count()

        def call(*arrays):
            end = time.perf_counter() + self.backend.fault(next(numbers))
            outputs = inner(*arrays)
            spin(end)
            return outputs

        return call


LATE_CALL = 30
"""The number of a call that is in one of the turns, by the shortest of protocols."""
DRIFT_S = 8.0
"""Period in which the machine of a drifting session becomes twice as slow, and quick again, in seconds."""


class DriftingSession(NumPySession):
    """A machine that is slower at some times than at others, for all processes alike."""

    def __init__(self, backend):
        super().__init__(backend, np)

    def function(self, operation, parameters, variant, mode):
        inner = super().function(operation, parameters, variant, mode)

        def call(*arrays):
            start = time.monotonic()
            outputs = inner(*arrays)
            spin(start + self.backend.fault * CALL_S / 10 * (1 + start % DRIFT_S / DRIFT_S))
            return outputs

        return call


class LoggedSession(BusySession):
    """Every call is written down, with its backend, operation, variant and time."""

    def function(self, operation, parameters, variant, mode):
        inner = super().function(operation, parameters, variant, mode)

        def call(*arrays):
            with open(os.environ["FAKE_LOG"], "a") as file:
                file.write(f"{self.backend.name} {operation.name} {variant} {time.monotonic()}\n")
            return inner(*arrays)

        return call


class ColdSession(NumPySession):
    """It is written down when a first call shall be cold."""

    def __init__(self, backend):
        super().__init__(backend, np)

    def make_cold(self):
        with open(os.environ["FAKE_LOG"], "a") as file:
            file.write("cold\n")


class SlowedSession(NumPySession):
    """NumPy, every call of which takes a known share longer than it did."""

    def __init__(self, backend):
        super().__init__(backend, np)

    def function(self, operation, parameters, variant, mode):
        inner = super().function(operation, parameters, variant, mode)
        share = self.backend.fault

        def call(*arrays):
            start = time.perf_counter()
            outputs = inner(*arrays)
            spin(start + (1 + share) * (time.perf_counter() - start))
            return outputs

        return call if share else inner


class GreedySession(NumPySession):
    """Every call takes 64 MiB for a moment."""

    def __init__(self, backend):
        super().__init__(backend, np)

    def function(self, operation, parameters, variant, mode):
        inner = super().function(operation, parameters, variant, mode)

        def call(*arrays):
            np.ones(2**23)
            return inner(*arrays)

        return call


def _killed():
    os.kill(os.getpid(), signal.SIGKILL)


def _hung():
    time.sleep(3600)


class SlowCompilerSession(NumPySession):
    """A framework whose compiler takes an hour."""

    def __init__(self, backend):
        super().__init__(backend, np)

    def function(self, operation, parameters, variant, mode):
        inner = super().function(operation, parameters, variant, "eager")

        def call(*arrays):
            _hung()

        return call if mode == "compiled" else inner


def _left():
    os._exit(7)


def _eaten():
    np.ones(2**30)


def _raised():
    raise RuntimeError("no such kernel\nand much more about it")


class FaultySession(NumPySession):
    """Something happens to whoever computes `square` by its pullback."""

    def __init__(self, backend):
        super().__init__(backend, np)

    def function(self, operation, parameters, variant, mode):
        if (operation.name, variant) == ("square", "analytic"):
            self.backend.fault()
        return super().function(operation, parameters, variant, mode)


class LateSession(BusySession):
    """Something happens to whoever has computed `square` by its pullback so often that it is being timed."""

    def function(self, operation, parameters, variant, mode):
        inner = super().function(operation, parameters, variant, mode)
        numbers = itertools.count()

        def call(*arrays):
            if (operation.name, variant) == ("square", "analytic") and next(numbers) == LATE_CALL:
                self.backend.fault()
            return inner(*arrays)

        return call


class WrongSession(NumPySession):
    """Its gradients are one percent too large."""

    def __init__(self, backend):
        super().__init__(backend, np)

    def function(self, operation, parameters, variant, mode):
        inner = super().function(operation, parameters, variant, mode)
        return lambda *arrays: tuple(np.asarray(1.01 * a, a.dtype) for a in inner(*arrays))


class Coarse(WrongSession):
    """It has a native form, whose gradients are one percent too large; all else is right."""

    def function(self, operation, parameters, variant, mode):
        inner = super() if variant == "native" else super(WrongSession, self)
        return inner.function(operation, parameters, "analytic" if variant == "native" else variant, mode)


class Fake(NumPyBackend):
    variants = ("forward", "analytic")
    taped = False

    def __init__(self, name, session, fault=None):
        self.name = name
        self.session = session
        self.fault = fault

    def open(self, device="cpu", *, threads=None, precision="strict"):
        return self.session(self)


class Excused(Fake):
    """Its native form of `tanh` is known to be that far off."""

    variants = ("forward", "analytic", "native")

    def __init__(self, name, most):
        super().__init__(name, Coarse)
        self.inaccuracies = (Inaccuracy("tanh", "native", "tiny", most, "One percent is added."),)


class SlowCompiler(Fake):
    """It has a compiler, and nobody has seen it finish."""

    modes = ("eager", "compiled")


class BrokenImport(Fake):
    def open(self, device="cpu", *, threads=None, precision="strict"):
        raise ImportError("libnothing.so: cannot open shared object file")


class Confined(Fake):
    """Its worker may use little more address space than it has when it begins."""

    def open(self, device="cpu", *, threads=None, precision="strict"):
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 2**29, used + 2**29))
        return self.session(self)


class Stillborn(Fake):
    def open(self, device="cpu", *, threads=None, precision="strict"):
        os._exit(9)


class Absent(Fake):
    """Where a variable says so, it is not installed."""

    def missing(self, device):
        return "not installed (pip install absent)" if os.environ.get("FAKE_ABSENT") else super().missing(device)


class Deadly(Fake):
    """Whoever opens it loses the process that began the worker, at once and without a word."""

    def open(self, device="cpu", *, threads=None, precision="strict"):
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)


DEADLY = Deadly("deadly", BusySession)
QUEUE = Fake("queue", QueueSession)
ABSENT = Absent("absent", BusySession)
FORGETFUL = Fake("forgetful", ForgetfulSession)
BUSY = Fake("busy", BusySession)
GREEDY = Fake("greedy", GreedySession)
WRONG = Fake("wrong", WrongSession)
EXCUSED, TOO_WRONG = Excused("excused", 1e16), Excused("too_wrong", 2.0)
KILLED = Fake("killed", FaultySession, _killed)
HUNG = Fake("hung", FaultySession, _hung)
SLOW_COMPILER = SlowCompiler("slow_compiler", SlowCompilerSession)
LEFT = Fake("left", FaultySession, _left)
RAISED = Fake("raised", FaultySession, _raised)
KILLED_LATE, RAISED_LATE = Fake("killed_late", LateSession, _killed), Fake("raised_late", LateSession, _raised)
CONFINED = Confined("confined", FaultySession, _eaten)
BROKEN_IMPORT = BrokenImport("broken_import", None)
STILLBORN = Stillborn("stillborn", None)

FIRST_CALL_S = 0.3
SLOW_FIRST = Fake("slow_first", TimedSession, lambda number: CALL_S if number else FIRST_CALL_S)
PERIODIC = Fake("periodic", TimedSession, lambda number: 2 * CALL_S if number % 7 == 6 else CALL_S)
DRIFT = Fake("drift", TimedSession, lambda number: CALL_S * (1 + number / 100))
DRIFTING, DRIFTING_ALIKE, DRIFTING_10 = (
    Fake(f"drifting_{name}", DriftingSession, share) for name, share in (("first", 1), ("alike", 1), ("10", 1.1))
)
COLD = Fake("cold", ColdSession)
LOGGED, LOGGED_TOO = Fake("logged", LoggedSession), Fake("logged_too", LoggedSession)
STEADY, LONGER_3, LONGER_5, LONGER_10, LONGER_20 = (
    Fake(f"longer_{percent}", TimedSession, lambda number, percent=percent: CALL_S * (1 + percent / 100))
    for percent in (0, 3, 5, 10, 20)
)
SAME, SAME_2, SAME_3, SAME_4 = (Fake(f"same_{number}", SlowedSession, 0.0) for number in range(1, 5))
SLOWED_10, SLOWED_30 = (Fake(f"slowed_{percent}", SlowedSession, percent / 100) for percent in (10, 30))
