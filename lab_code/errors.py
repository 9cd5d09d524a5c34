"""The one error that people are meant to see.

Anything a user can cause (a typo, a missing file, a damaged archive) is raised as `LabError` with a hint that says
what to do next; `lab_code.cli.terminal` prints it in two short lines. Every other exception is a fault of the program.
"""


class LabError(Exception):
    """Something the person at the keyboard can put right.

    `message` says what is wrong and where, in lower case and without a full stop; `hint` is the next thing to do.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows (IPython asks for it): the two lines of the command line, and no traceback."""
        return [f"error: {self.message}", *([f"hint: {self.hint}"] if self.hint else [])]
