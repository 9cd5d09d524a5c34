"""What costs points or is final happens in a notebook at the press of a button only: "Run all" presses none.

with by_hand():              # a form, when its button is pressed
    main(["hint", "1"])
expect_a_hand("hint 1")      # the command, before it buys anything
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from lab_code.errors import LabError

_PRESSED = "LAB_PRESSED"  # in the environment, so that a kit's own launcher sees it as well
_KERNEL = "JPY_PARENT_PID"  # in the environment of every kernel that Jupyter starts, and of what its cells start


@contextmanager
def by_hand() -> Iterator[None]:
    """Somebody has asked for what happens in here."""
    os.environ[_PRESSED] = "1"
    try:
        yield
    finally:
        os.environ.pop(_PRESSED, None)


def expect_a_hand(command: str) -> None:
    """Raises `LabError` where a cell of a notebook runs `lab command` by itself, as `!lab …` too."""
    if (in_notebook() or _KERNEL in os.environ) and _PRESSED not in os.environ:
        raise LabError(
            f"a cell of a notebook does not run 'lab {command}' by itself: 'Run all' would do it again",
            hint=f'lab("{command}") in a cell shows a button for it; or type it in a terminal',
        )


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None
