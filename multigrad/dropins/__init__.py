"""Drop-ins: gradient checks that are called like the ones people know, and say why.

Each takes somebody's own function at inputs of his own, and judges values and gradients in this process: by the exact
derivative of a reference, within the bound of an honest evaluation.
"""
