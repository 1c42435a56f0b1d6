"""How long the long tests are: short in every run of the suite, long where ``PULSEWIRE_FAULTS=long`` asks for it."""

import os

IS_LONG = os.environ.get("PULSEWIRE_FAULTS") == "long"  # read here: tests do not see settings of whoever runs them


def examples(few: int, many: int) -> int:
    """Return how many examples a test tries."""
    return many if IS_LONG else few
