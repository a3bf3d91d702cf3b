"""One published state of the protocol per file: what differed from the sound one, and who says so.

Each module has `SOURCE` and `CLASSES`: by role, subclasses of the sound actors.
"""
