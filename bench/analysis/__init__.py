"""From the journal of a run to its tables, and from tables to comparisons."""
