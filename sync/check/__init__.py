"""Whether a run is possible, and which columns nobody uses."""
