"""What people ask of history: which runs did something, and what was done to one row."""
