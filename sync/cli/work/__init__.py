"""What commands do, loaded when one runs."""
