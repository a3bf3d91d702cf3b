"""Stateful search: every state that can be reached, each once; proof within bounds, or a story."""

from typing import Final

BREADTH_FIRST: Final = "breadth-first"
DEPTH_FIRST: Final = "depth-first"
SEARCHES: Final = {
    BREADTH_FIRST: "every state there is, nearest first: a proof, or the shortest violation",
    DEPTH_FIRST: "every state there is, by fewer moves: a proof, or a counterexample",
}
"""What an exploration can be asked for in place of schedules, and what it does."""
