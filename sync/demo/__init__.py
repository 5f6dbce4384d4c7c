"""The tool at work, on a MariaDB of its own."""
