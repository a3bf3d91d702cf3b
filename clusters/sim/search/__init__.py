"""Stateful search: every state that can be reached, each once; proof within bounds, or a story."""
