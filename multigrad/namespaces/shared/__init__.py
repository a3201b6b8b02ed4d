"""What the namespaces share: operators, NumPy's protocols, the standard written in terms of itself, refusals."""
