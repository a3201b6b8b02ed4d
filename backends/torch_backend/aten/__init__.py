"""Torch's ATen calls in the array API standard: the table of facts, and what is rewritten before it is asked."""
