"""Is the formula right? Proofs at points, at kinks, and certificates of them."""
