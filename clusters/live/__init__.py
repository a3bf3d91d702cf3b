"""The live world: real Ray actors, real processes, real kills."""
