"""Which files of a kit can be opened by a click on their path in the notebook, and at which line one begins to read.

`jupyter_plugin.js` asks for both, through `jupyter_extension.py`.
"""

import ast
from pathlib import Path

_FOLDERS = ("lab_code", "notebooks")
_READABLE = {".py", ".yaml", ".ipynb", ".md", ".csv"}


def list_openable(root: Path) -> list[str]:
    """Files to read, as paths in the kit; those of stages that are still locked are not there yet."""
    inside = [path for folder in _FOLDERS for path in (root / folder).rglob("*")]
    found = [*inside, *root.glob("*.md"), *(root / "data").glob("*.*")]
    return sorted(
        path.relative_to(root).as_posix()
        for path in found
        if path.suffix in _READABLE and "." not in "".join(path.relative_to(root).parts[:-1]) and path.is_file()
    )


def find_first_line(path: Path) -> int:
    """The line to begin at, counted from 1: of Python the first one after docstring and imports."""
    if path.suffix != ".py":
        return 1
    try:
        body = ast.parse(path.read_bytes()).body
    except (OSError, SyntaxError, ValueError):
        return 1
    return next((_line_of(node) for node in body if not _is_preamble(node)), 1)


def _is_preamble(node: ast.stmt) -> bool:
    docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return docstring or isinstance(node, ast.Import | ast.ImportFrom | ast.If | ast.Try)


def _line_of(node: ast.stmt) -> int:
    decorators = getattr(node, "decorator_list", [])
    return min(node.lineno, *(each.lineno for each in decorators)) if decorators else node.lineno
