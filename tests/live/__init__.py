"""Tests; the map is in tests/README.md."""
