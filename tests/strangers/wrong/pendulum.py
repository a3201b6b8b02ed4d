"""Mistake: the adjoint steps are taken in the forward order of the two updates, so the angle's adjoint sees the old
speed's.

Kind: the order of updates in an adjoint step.
"""

from multigrad import operation


@operation("(n),(n)->(n),(n)", sizes={"one": {"n": 1}, "few": {"n": 6}, "many": {"n": 200}})
def pendulum(xp, angle, speed, *, steps=20, dt=0.05, g=9.81):
    """Symplectic Euler for a pendulum of length 1."""
    a, v = angle, speed
    path = []
    for _ in range(steps):
        path.append(a)
        v = v - dt * g * xp.sin(a)
        a = a + dt * v

    def pullback(a_bar, v_bar):
        for a0 in reversed(path):
            a_bar, v_bar = a_bar - dt * g * xp.cos(a0) * v_bar, v_bar + dt * a_bar
        return a_bar, v_bar

    return (a, v), pullback
