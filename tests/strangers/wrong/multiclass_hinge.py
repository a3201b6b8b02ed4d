"""Mistake: the right class gets -1 and not minus the number of violated margins.

Kind: the exercise on the SVM loss in course notes.
"""

from multigrad import operation


@operation("(b,c),(b)->()", nondifferentiable=["y"], inputs=lambda draw, b, c: (draw(b, c), draw.labels(c, b)))
def multiclass_hinge(xp, s, y):
    """Weston-Watkins hinge: Σ over wrong classes of max(0, 1 + s_j - s_y)."""
    hot = xp.astype(xp.arange(s.shape[1])[None, :] == y[:, None], s.dtype)
    right = xp.sum(s * hot, axis=1, keepdims=True)
    slack = (1 + s - right) * (1 - hot)
    active = xp.astype(slack > 0, s.dtype)

    def pullback(f_bar):
        return f_bar * (active - hot)

    return xp.sum(xp.maximum(slack, xp.zeros_like(slack))), pullback
