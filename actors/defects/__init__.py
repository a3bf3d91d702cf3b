"""Known mistakes, one per file; each may be switched on alone.  `CLASSES` says by role who errs."""
