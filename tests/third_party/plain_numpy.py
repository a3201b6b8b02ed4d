"""A backend in a distribution of its own: NumPy, which follows the standard by itself since version 2."""

import importlib

import numpy as np

from multigrad import Backend, Session, Unavailable


class PlainSession(Session):
    """NumPy's own namespace."""

    dtypes = ("float64", "float32")

    def __init__(self, backend, xp, device):
        self.backend = backend
        self.xp = xp
        self.device = self.device_name = device

    def to_device(self, array, dtype=None):
        return np.array(array, dtype=dtype, order="C")

    def to_numpy(self, array):
        return np.array(array)

    def dtype_name(self, array):
        return str(array.dtype)


class PlainBackend(Backend):
    """NumPy without array-api-compat."""

    name = "plain-numpy"
    module = "numpy"
    distributions = ("numpy",)
    install = "pip install numpy"
    devices = ("cpu", "abacus")

    def open(self, device="cpu", *, threads=None, precision="strict"):
        if reason := self.missing(device):
            raise Unavailable(reason)
        return PlainSession(self, importlib.import_module("numpy"), device)


BACKEND = PlainBackend()
