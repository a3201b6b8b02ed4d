"""NumPy: the CPU reference that every other backend is laid beside."""

from __future__ import annotations

import functools
import importlib
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from multigrad.backend import (
    Backend,
    Refusal,
    Session,
    Unavailable,
    cpu_name,
    namespace,
)
from multigrad.backend.candidate import Candidate
from multigrad.data.errors import one_line
from multigrad.data.standard import numpy_standard
from multigrad.extra.blocks import run_in_blocks
from multigrad.extra.elimination import Standard
from multigrad.extra.hooks import Hooks
from multigrad.ops.operation import Operation
from multigrad.ops.selection import Precision

from .taped import TapedSession

if TYPE_CHECKING:
    import numpy as np


def array_namespace(numpy: Any) -> Any:
    """Return array-api-compat's namespace, with what eliminations, scatters and blocks ask for."""
    xp = numpy_standard()
    hooks = Hooks(
        eliminated=functools.partial(Eliminated, xp),
        scatter_add=functools.partial(scatter_add, numpy),
        in_blocks=functools.partial(in_blocks, numpy),
    )
    return namespace(xp, hooks)


class NumPySession(TapedSession):
    """NumPy on the CPU."""

    dtypes = ("float64", "float32", "float16")

    def __init__(self, backend: Backend, numpy: Any) -> None:
        self.backend = backend
        self.numpy = numpy
        self.device = "cpu"
        self.device_name = cpu_name()
        self.xp = array_namespace(numpy)

    def to_device(self, array: np.ndarray, dtype: str | None = None) -> Any:
        return self.numpy.array(array, dtype=dtype, order="C")

    def to_numpy(self, array: Any) -> np.ndarray:
        copy: np.ndarray = self.numpy.array(array)
        return copy

    def dtype_name(self, array: Any) -> str:
        return str(array.dtype)

    def checkers(self) -> dict[str, Callable[..., str]]:
        """Return SciPy's gradient checker, where SciPy is: ``f(op, parameters, arrays)`` says why it rejects.

        ``scipy.optimize.check_grad`` returns the norm of the difference and leaves the verdict to its user. Ours:
        rejected above 1e-6 · max(1, norm of the gradient), some ten times what a forward difference with its step of
        √eps is off by where second derivatives are moderate.
        """
        if importlib.util.find_spec("scipy") is None:
            return {}
        return {"scipy check_grad": self._check_grad}

    def _check_grad(self, op: Operation, parameters: Mapping[str, Any], arrays: Sequence[np.ndarray]) -> str:
        numpy, xp = self.numpy, self.xp
        count = len(op.inputs)
        inputs, cotangents = arrays[:count], arrays[count:]
        chosen = [a for a, d in zip(inputs, op.differentiable, strict=True) if d]
        ends = numpy.cumsum([a.size for a in chosen])[:-1]

        def called(point: np.ndarray) -> tuple[Any, Callable[..., Any]]:
            parts = iter(numpy.split(point, ends))
            given = [
                next(parts).reshape(a.shape).copy() if d else a for a, d in zip(inputs, op.differentiable, strict=True)
            ]
            return op(xp, *given, **parameters)

        def value(point: np.ndarray) -> float:
            values = called(point)[0]
            values = values if isinstance(values, tuple) else (values,)
            return float(sum(numpy.sum(v * c) for v, c in zip(values, cotangents, strict=True)))

        def gradient(point: np.ndarray) -> Any:
            gradients = called(point)[1](*cotangents)
            gradients = gradients if isinstance(gradients, tuple) else (gradients,)
            return numpy.concatenate([numpy.ravel(g) for g in gradients])

        check_grad = importlib.import_module("scipy.optimize").check_grad
        start = numpy.concatenate([a.ravel() for a in chosen])
        try:
            error = check_grad(value, gradient, start)
            allowed = 1e-6 * max(1.0, float(numpy.linalg.norm(gradient(start))))
        except Exception as problem:  # noqa: BLE001 - it raises in many ways
            return one_line(problem)
        return "" if error <= allowed else f"norm of the difference {error:.3g} > {allowed:.3g}"

    def settings(self) -> Mapping[str, Any]:
        from threadpoolctl import threadpool_info

        pools = [p for p in threadpool_info() if p["user_api"] == "blas"]
        return {
            "threads": max((p["num_threads"] for p in pools), default=1),
            "blas": [f"{p['internal_api']} {p['version']}" for p in pools],
        }


def in_blocks(numpy: Any, function: Callable[..., Any], arrays: Sequence[Any], *, fused: bool, **how: int) -> Any:
    """Return what :func:`multigrad.extra.blocks.in_blocks` asks for: every step runs by itself, fused or not."""
    return run_in_blocks(lambda block, shape: numpy.empty(shape, dtype=block.dtype), function, arrays, **how)


def scatter_add(numpy: Any, X: Any, t: Any, v: int) -> Any:
    """Return what :func:`multigrad.extra.scatter.scatter_add` asks for."""
    # Column by column: NumPy has a fast loop for single numbers, and none for rows.
    sums = numpy.zeros((X.shape[1], v), dtype=X.dtype)
    for total, x in zip(sums, X.T, strict=True):
        numpy.add.at(total, t, x)
    return sums.T


class Eliminated(Standard):
    """What :func:`multigrad.extra.elimination.eliminated` asks for."""

    def adjugate(self) -> Any:
        """Invert A, where no determinant is zero: NumPy has computed them and can be asked."""
        det = self.det()
        return det[..., None, None] * self.xp.linalg.inv(self.A) if det.all() else super().adjugate()


class NumPyBackend(Backend):
    """NumPy, with the array namespace of array-api-compat."""

    name = "numpy"
    module = "numpy"
    distributions = ("numpy",)
    install = "pip install numpy"
    variants = ("forward", "analytic", "autodiff")
    taped = True
    refusals = (
        Refusal("TypeError", r"array type \w+ is unsupported in linalg", "NumPy's linear algebra lacks the dtype."),
    )
    breakdowns = (Refusal("LinAlgError", "", "LAPACK's algorithm breaks down where a number is not finite."),)

    def open(self, device: str = "cpu", *, threads: int | None = None, precision: Precision = "strict") -> Session:
        if reason := self.missing(device):
            raise Unavailable(reason)
        numpy = self.load()
        if threads is not None:
            from threadpoolctl import threadpool_limits

            threadpool_limits(threads)
        return NumPySession(self, numpy)

    def hand_over(self, operation: Operation, parameters: Mapping[str, Any]) -> Callable[..., Any]:
        if importlib.util.find_spec("autograd") is None:
            raise Unavailable(
                "autograd, which differentiates functions of NumPy, is not installed (pip install autograd)"
            )
        from .handover_autograd import handed_over

        return handed_over(array_namespace(self.load()), operation, parameters)

    def candidate(self, function: Callable[..., Any], inputs: Any) -> Candidate:
        self.load()
        from .numpy_candidate import NumPyCandidate

        return NumPyCandidate(function, inputs)


BACKEND = NumPyBackend()
