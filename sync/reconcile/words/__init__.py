"""What is said of a refusal: which one it hangs on, which keys contradict each other, and what to do."""
