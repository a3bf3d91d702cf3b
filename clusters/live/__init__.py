"""The live world: the same actors in real processes on Ray, with real faults, and journals.

Importing it imports no Ray; running it does.  This file imports nothing at all: a process that is
to run a host needs neither the judge nor the simulator, and starts in less than half the time.
"""
