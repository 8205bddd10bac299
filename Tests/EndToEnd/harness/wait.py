"""Waiting with a deadline: nothing in these tests sleeps for a time and hopes."""
import os
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
# A slow machine may be given more time as a whole: NIGHTJAR_TEST_PATIENCE=3.
PATIENCE = float(os.environ.get("NIGHTJAR_TEST_PATIENCE", "1"))


class Deadline:
    def __init__(self, seconds: float):
        self.end = time.monotonic() + seconds * PATIENCE

    @property
    def left(self) -> float:
        return max(0.0, self.end - time.monotonic())

    @property
    def over(self) -> bool:
        return time.monotonic() >= self.end


def until(condition: Callable[[], T], what: str, timeout: float = 10, interval: float = 0.02) -> T:
    """Polls until `condition` gives something true, and returns it; else fails saying what was waited for."""
    deadline = Deadline(timeout)
    while True:
        value = condition()
        if value:
            return value
        if deadline.over:
            raise AssertionError(f"waited {timeout * PATIENCE:g} s in vain for {what} (last seen: {value!r})")
        time.sleep(min(interval, deadline.left + 0.001))
