"""What we try, and what we say about it."""
