"""The live world: the same actors in real processes on Ray, with real faults, and journals.

Importing this imports no Ray; running it does.
"""

from clusters.live.live_setup import LiveResult, LiveSetup, Progress
from clusters.live.reexecute import Match, reexecute
from clusters.live.run import run_live

__all__ = ["LiveResult", "LiveSetup", "Match", "Progress", "reexecute", "run_live"]
