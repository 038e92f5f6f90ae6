"""How much of the machine this process may use."""

import os


def usable_cores() -> int:
    """The cores that this process may run on, of which a container may allow only some."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
