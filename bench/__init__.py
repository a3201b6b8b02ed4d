"""What it costs: plans, workers, timing, statistics, stores, tables, reports, the command line."""
