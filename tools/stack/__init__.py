"""Runs the whole platform as processes on free loopback ports, for tests and for people.

    from stack import Stack
    with Stack(profile="test", replicas=2) as stack:
        stack.kill("order-service", replica=1)
        stack.restart("order-service", replica=1)

The folder that holds this package (`tools`) must be on sys.path.
"""
from .profiles import PROFILES, Profile
from .stack import Stack, StackError

__all__ = ["PROFILES", "Profile", "Stack", "StackError"]
