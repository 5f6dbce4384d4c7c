"""Which documents need no look: they, and the rows of ISPyB that they speak of, are as a run last took them."""
