"""What is read back from files and other processes, and the columns of tables."""
