"""What history tells, for people: its list of runs, one run, one row."""
