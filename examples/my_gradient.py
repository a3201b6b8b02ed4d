"""A gradient of one's own, in a file of one's own: `multigrad check examples/my_gradient.py`."""

from multigrad import operation


@operation("(n),(n),(n)->()")
def gaussian_nll(xp, mu, s, y):
    """Negative log-likelihood of y under Gaussians of mean μ and log-variance s.

    f = ½ Σ (s + r² e⁻ˢ) with r = y − μ; the constant ½ n log 2π is left out.  With g = r e⁻ˢ:

        ∂f/∂μ = −g
        ∂f/∂s = ½ (1 − r ∘ g)
        ∂f/∂y = g

    Source: the density of the normal distribution, differentiated term by term. Smooth: there is no kink.
    """
    r = y - mu
    g = r * xp.exp(-s)

    def pullback(f_bar):
        mu_bar = -f_bar * g
        return mu_bar, 0.5 * f_bar * (1 - r * g), -mu_bar

    return 0.5 * xp.sum(s + r * g), pullback
