"""One known mistake per file, each a short subclass of the sound actors."""
