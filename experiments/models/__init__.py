"""Protocols small enough to compare tools on: yardsticks of `bench` and of the engine's tests."""
