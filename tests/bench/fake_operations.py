"""Small operations that only the tests of the harness use."""

from multigrad import operation

SIZES = {"only": {"n": 64}}


@operation("(n)->()", sizes=SIZES)
def square(xp, x):
    """f = Σ x²; x̄ = 2 x f̄."""

    def pullback(f_bar):
        return 2 * f_bar * x

    return xp.sum(x * x), pullback


@operation("(n)->()", sizes=SIZES)
def cube(xp, x):
    """f = Σ x³; x̄ = 3 x² f̄."""

    def pullback(f_bar):
        return 3 * f_bar * x * x

    return xp.sum(x * x * x), pullback
