"""Wrong gradients made on purpose, and which check kills them."""
