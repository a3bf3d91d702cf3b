"""The simulated world: one process, every choice made by a schedule."""
