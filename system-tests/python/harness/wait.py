"""Waiting for a condition with a deadline; the tests never sleep for a fixed time."""

import time


def until(condition, what, timeout=30.0, poll=0.05):
    """Returns the first truthy value of `condition()`; raises AssertionError naming `what` (a text, or a function that
    makes one then) after `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:.0f} s: {what() if callable(what) else what}")
        time.sleep(poll)
