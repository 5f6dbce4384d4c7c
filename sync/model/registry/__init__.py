"""What the registry is made of."""
