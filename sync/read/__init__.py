"""The export -> documents as they were sent, one by one."""
