"""A function as a graph of calls, whatever framework traced it, and its evaluation in any array namespace."""
