"""A protocol so short that its figures mean little and its faults show all the same."""

from multigrad.bench import Protocol

FAST = Protocol(
    rounds=2,
    extra_rounds=0,
    warmup_s=0.005,
    warmup_limit_s=0.05,
    block_s=2e-3,
    turn_s=5e-3,
    process_blocks=4,
    process_s=0.01,
    process_limit_s=0.1,
    turns=2,
    other_blocks=2,
    peak_s=0.01,
    peak_product_flops=1e6,
    peak_array_bytes=2**20,
    twins=1,
    memory=False,
    cell_timeout_s=60.0,
)
