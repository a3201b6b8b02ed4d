"""The truth about a case: inputs, certified values, bounds, and the verdict on the formula."""
