"""array-api-strict: the standard and nothing else, so that a call outside it is noticed. Correctness only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from multigrad.backend import Backend, Precision, Session, Unavailable, cpu_name

if TYPE_CHECKING:
    import numpy as np


class StrictSession(Session):
    """The newest version of the standard that array-api-strict knows, on a device that is not the default one.

    An array that an operation makes without saying on which device lands on the default device and meets the inputs
    nowhere: what would fail on a GPU fails here.
    """

    dtypes = ("float64", "float32")

    def __init__(self, backend: Backend, xp: Any) -> None:
        self.backend = backend
        self.device = "cpu"
        self.device_name = cpu_name()
        self.xp = xp
        self._away = xp.Device("device1")
        self._home = xp.Device("CPU_DEVICE")

    def to_device(self, array: np.ndarray, dtype: str | None = None) -> Any:
        wanted = None if dtype is None else getattr(self.xp, dtype)
        return self.xp.asarray(array, dtype=wanted, device=self._away, copy=True)

    def to_numpy(self, array: Any) -> np.ndarray:
        import numpy as np

        return np.array(self.xp.asarray(array, device=self._home))

    def dtype_name(self, array: Any) -> str:
        return str(array.dtype).rpartition(".")[2]

    def settings(self) -> dict[str, Any]:
        return {"standard": self.xp.__array_api_version__}


class StrictBackend(Backend):
    """array-api-strict, eager only."""

    name = "strict"
    module = "array_api_strict"
    distributions = ("array-api-strict",)
    install = "pip install array-api-strict"

    def open(self, device: str = "cpu", *, threads: int | None = None, precision: Precision = "strict") -> Session:
        if reason := self.missing(device):
            raise Unavailable(reason)
        return StrictSession(self, self.load())


BACKEND = StrictBackend()
