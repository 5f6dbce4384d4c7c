"""Documents as they were sent -> valid ones, with what is refused of them."""
