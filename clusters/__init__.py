"""Where actors run: simulated, or live on Ray."""
