"""One known defect per file: what is wrong, who said so, and the one method that is wrong.

Each module has `SOURCE` and `CLASSES`: by role, subclasses of the sound actors.  Any of them can be
switched on alone, on top of any revision where it makes sense.
"""
