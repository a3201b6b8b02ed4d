"""What an operation is, how its inputs are drawn, how it is found in the catalogue or in a file."""
