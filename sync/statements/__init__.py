"""How the statements of sql/ are run: which of them, in what order, in how many round trips."""
