"""What is true: messages, life cycle, rules.  No clock, no chance, no file, no Ray."""
