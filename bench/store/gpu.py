"""NVIDIA devices as NVML, the driver's library, describes them: names and memory, clocks, reasons for slowing down."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import Any

from multigrad.data.errors import one_line


class GpuReader:
    """Reads the clock and the throttle reasons of the first visible GPU. What NVML refuses is a note, not an error."""

    def __init__(self) -> None:
        """Find the GPU; where there is none to be found, the note says why."""
        self.notes: dict[str, str] = {}
        """By what could not be read, why."""
        self._nvml: Any = None
        try:
            import pynvml

            pynvml.nvmlInit()
            visible = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
            if visible.isdigit():
                self._handle = pynvml.nvmlDeviceGetHandleByIndex(int(visible))
            else:
                self._handle = pynvml.nvmlDeviceGetHandleByUUID(visible)
            self._nvml = pynvml
        except Exception as error:  # noqa: BLE001 - no package, no driver, no permission: each has an error of its own
            self.notes["GPU"] = one_line(error)

    def read(self) -> tuple[float | None, int]:
        """Return the clock in Hz, None where NVML does not say, and the throttle reasons as a bit mask, then 0."""
        if self._nvml is None:
            return None, 0
        nvml, handle = self._nvml, self._handle
        clock = self._asked("clock", lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM) * 1e6)
        reasons = self._asked("throttle reasons", lambda: nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle))
        harmless = nvml.nvmlClocksThrottleReasonGpuIdle | nvml.nvmlClocksThrottleReasonApplicationsClocksSetting
        return clock, (reasons or 0) & ~harmless

    def _asked(self, what: str, ask: Callable[[], Any]) -> Any:
        """Return what NVML answers; None where it raises, which is noted."""
        try:
            return ask()
        except Exception as error:  # noqa: BLE001 - a guard that fails costs its columns, never a time
            self.notes[what] = one_line(error)
            return None

    def note(self) -> str:
        """Return what could not be read, and why; empty where everything was."""
        said = "; ".join(f"{what}: {why}" for what, why in self.notes.items())
        return f"NVML did not answer ({said})" if said else ""


def gpus() -> list[dict[str, Any]]:
    """Return name, memory and driver of every NVIDIA device."""
    found = []
    with contextlib.suppress(Exception):  # no package, no driver, no permission: for us they are one answer
        import pynvml

        pynvml.nvmlInit()
        for i in range(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(i)
            memory = pynvml.nvmlDeviceGetMemoryInfo(handle).total
            driver = pynvml.nvmlSystemGetDriverVersion()
            found.append(
                {"name": _text(pynvml.nvmlDeviceGetName(handle)), "bytes": int(memory), "driver": _text(driver)}
            )
        pynvml.nvmlShutdown()
    return found


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
