"""Recorded calls of a running kernel, held against our actors.

A trace is a concurrent history: calls with the moments of their entry and return.  It is explained
if the calls can be put in an order, each at some moment between its entry and its return, in which
the actor gives exactly the recorded answers.  The actor is the only specification there is.
"""
