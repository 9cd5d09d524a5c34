"""Limits that keep every function a story one can follow; each is a number, so that nobody has to argue about taste."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
MOST_LINES = 45
MOST_PARAMETERS = 6  # of what one calls; the fields of a dataclass are no parameters
TREES = ("lab_code", "instructor", "locked")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(code: str) -> Iterator[Function]:
    return (node for node in ast.walk(ast.parse(code)) if isinstance(node, Function))


def count_lines(function: Function) -> int:
    """From `def` to the last line, docstring and blank lines included."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


def count_parameters(function: Function) -> int:
    """Named ones of every kind; what a method is bound to does not count."""
    given = function.args
    names = [argument.arg for argument in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return len(names) - (names[:1] in (["self"], ["cls"]))


@pytest.mark.parametrize("tree", TREES)
def test_no_function_is_too_long_or_takes_too_much(tree: str) -> None:
    faults = []
    for path in sorted((PROJECT / tree).rglob("*.py")):
        for function in functions(path.read_text(encoding="utf-8")):
            lines, parameters = count_lines(function), count_parameters(function)
            where = f"{path.relative_to(PROJECT)}:{function.lineno} {function.name}"
            faults += [f"{where} has {lines} lines, at most {MOST_LINES}"] * (lines > MOST_LINES)
            faults += [f"{where} takes {parameters}, at most {MOST_PARAMETERS}"] * (parameters > MOST_PARAMETERS)
    assert not faults, "tell its story in parts:\n" + "\n".join(faults)


@pytest.mark.parametrize(
    ("code", "lines", "parameters"),
    [
        ("def f(): pass", 1, 0),
        ("async def f(a, /, b, *, c): pass", 1, 3),
        ("class A:\n    def f(self, a, *rest, b=1, **more):\n        pass", 2, 2),
        ("class A:\n    @classmethod\n    def f(cls, a):\n\n        pass", 3, 1),
        ("def f(\n    a,\n):\n    '''Says.\n\n    Much.\n    '''", 7, 1),
    ],
)
def test_lines_and_parameters_are_counted_as_one_reads_them(code: str, lines: int, parameters: int) -> None:
    (function,) = functions(code)
    assert (count_lines(function), count_parameters(function)) == (lines, parameters)
