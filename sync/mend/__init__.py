"""The SQL by which a DBA mends ISPyB by hand: two rows that are one, a session under a wrong proposal."""
