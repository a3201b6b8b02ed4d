"""Matrix products and what Arb computes of matrices: determinants, inverses, certified eigenvalues."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from flint import acb_mat, arb, arb_mat, fmpq_mat

from ..shared import factorisations, linear_algebra
from . import degrees
from .arrays import ExactArray, array, lift, midpoints, objects
from .context import Undecided, refuse_fractions, state
from .degrees import Degree
from .table import FUNCTIONS, LINALG, integral


def _matrix(elements: np.ndarray) -> Any:
    rows, columns = elements.shape
    return (fmpq_mat if state.rational else arb_mat)(rows, columns, elements.ravel().tolist())


def _elements(matrix: Any) -> np.ndarray:
    result = np.empty(matrix.nrows() * matrix.ncols(), dtype=object)
    result[:] = matrix.entries()
    return result.reshape(matrix.nrows(), matrix.ncols())


def _product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """A batched product of matrices; a batch axis that only one side has becomes more rows, or more columns."""
    depth = max(a.ndim, b.ndim)
    a, b = (x.reshape((1,) * (depth - x.ndim) + x.shape) for x in (a, b))
    batch = range(depth - 2)
    rows = [i for i in batch if b.shape[i] == 1 != a.shape[i]]
    columns = [i for i in batch if a.shape[i] == 1 != b.shape[i]]
    both = [i for i in batch if i not in rows and i not in columns]
    (m, k), n = a.shape[-2:], b.shape[-1]
    outer, over, under = ([max(a.shape[i], b.shape[i]) for i in axes] for axes in (both, rows, columns))
    left = a.transpose([*both, *rows, *columns, -2, -1]).reshape(*outer, math.prod(over) * m, k)
    right = b.transpose([*both, *rows, -2, *columns, -1]).reshape(*outer, k, math.prod(under) * n)
    product = np.empty((*outer, left.shape[-2], right.shape[-1]), dtype=object)
    for index in itertools.product(*map(range, outer)):
        product[index] = _elements(_matrix(left[index]) * _matrix(right[index]))
    # The axes are now those of both, the rows', m, the columns', n.
    now = [*both, *rows, depth - 2, *columns, depth - 1]
    return product.reshape(*outer, *over, m, *under, n).transpose([now.index(i) for i in range(depth)])


@integral
def matmul(x1: Any, x2: Any, /) -> ExactArray:
    """The matrix product, batched over leading axes."""
    first, second = lift(x1), lift(x2)
    a = first.elements if first.ndim > 1 else first.elements[None, :]
    b = second.elements if second.ndim > 1 else second.elements[:, None]
    if a.shape[-1] != b.shape[-2]:
        raise ValueError(f"matmul of shapes {first.shape} and {second.shape}: {a.shape[-1]} is not {b.shape[-2]}")
    c = _product(a, b)
    c = c[..., 0, :] if first.ndim == 1 else c
    c = c[..., 0] if second.ndim == 1 else c
    return array(c, degrees.repeated(degrees.multiplied(first.degree, second.degree), a.shape[-1]))


def _flint(name: str, degree: Callable[[int, Degree], Degree]) -> Callable[[Any], ExactArray]:
    def apply(x: Any, /) -> ExactArray:
        A = lift(x)
        n = A.shape[-1]

        def of_one(M: ExactArray) -> ExactArray:
            if n == 0:
                return FUNCTIONS["ones"](()) if name == "det" else M
            try:
                result = getattr(_matrix(M.elements), name)()
            except ZeroDivisionError as error:
                raise Undecided(f"{name} of a matrix that may be singular") from error
            return array(result if name == "det" else _elements(result), degree(n, A.degree))

        result: ExactArray = linear_algebra.batched(ExactArray.namespace, of_one, A)
        return result

    return apply


def eigh(x: Any, /) -> factorisations.Eigh:
    """Eigenvalues, ascending, and eigenvectors of a symmetric matrix, from its lower triangle.

    Arb's certified routine. Each eigenvector has length 1, and its largest entry is positive.

    Raises:
        Undecided: the eigenvalues are not isolated; repeated ones never are.
    """

    def of_one(M: ExactArray) -> tuple[ExactArray, ExactArray]:
        try:
            values, right = acb_mat(_matrix(_symmetric(M))).eig(right=True)
        except ValueError as error:
            raise Undecided("two eigenvalues may be equal") from error
        # The real part of a multiple of a real vector is one too; dividing by its length certifies that it is not 0.
        vectors = np.vectorize(lambda z: z.real, otypes=[object])(_elements(right))
        order = sorted(range(len(values)), key=lambda i: values[i].real.mid())
        largest = np.argmax(np.abs(midpoints(array(vectors, None))), axis=0)
        signs = [1 if vectors[i, j].mid() > 0 else -1 for j, i in enumerate(largest)]
        lengths = [s * arb.sqrt(np.add.reduce(v * v)) for s, v in zip(signs, vectors.T, strict=True)]
        ordered = [values[i].real for i in order]
        return array(objects(ordered), None), array((vectors / objects(lengths))[:, order], None)

    return factorisations.Eigh(*_eigen(x, of_one))


def eigvalsh(x: Any, /) -> ExactArray:
    """Eigenvalues of a symmetric matrix, ascending, from its lower triangle; they may be repeated."""

    def of_one(M: ExactArray) -> ExactArray:
        values = acb_mat(_matrix(_symmetric(M))).eig(multiple=True)
        return array(objects(sorted((v.real for v in values), key=arb.mid)), None)

    result: ExactArray = _eigen(x, of_one)
    return result


def _eigen(x: Any, of_one: Callable[[ExactArray], Any]) -> Any:
    refuse_fractions("eigh")
    return linear_algebra.batched(ExactArray.namespace, of_one, lift(x))


def _symmetric(M: ExactArray) -> np.ndarray:
    return np.where(np.tri(M.shape[0], dtype=np.bool_), M.elements, M.elements.T)


LINALG |= {
    "det": _flint("det", degrees.of_determinant),
    "inv": _flint("inv", degrees.of_inverse),
    "eigh": eigh,
    "eigvalsh": eigvalsh,
}
