"""For the notebooks: the same commands as in a terminal, and figures with a text alternative."""

import importlib
import io
import shlex

from IPython.display import Image
from matplotlib.figure import Figure

from lab_code.cli import main


class StoppedError(Exception):
    """Ends a cell whose command failed; the command has said why, so there is no traceback."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


def lab(command: str) -> None:
    """Run a `lab` command in this notebook: `lab("train experiment=baseline")`.

    Raises `StoppedError` where it fails, so that "Run all" stops there.
    """
    importlib.invalidate_caches()  # an unlock may have brought new modules
    code = main(shlex.split(command))
    if code:
        raise StoppedError(f"lab {command.split()[0]} did not succeed: see the message above")


def show(figure: Figure, text: str) -> Image:
    """A figure as a picture, with a text for people (and programs) that cannot see it."""
    png = io.BytesIO()
    figure.savefig(png, dpi=110)
    return Image(png.getvalue(), alt=text)
