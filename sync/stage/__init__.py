"""Valid documents -> rows that fit the live columns -> staging tables."""
