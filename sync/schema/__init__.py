"""What the live ISPyB is: its columns, their limits and keys."""
