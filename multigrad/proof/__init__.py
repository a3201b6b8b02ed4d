"""Proofs of a formula at points and at kinks, the conventions there, and certificates."""
