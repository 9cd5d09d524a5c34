"""Tables as CSV files that a spreadsheet may open: some of their text comes from laptops that nobody here controls.

A comma separates the cells, but a spreadsheet in another country splits the same lines at semicolons, and an import
dialogue at tabs as well: text must not become a formula at the start of any piece that such a program may cut out.
"""

import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from lab_code.files import write_whole

_CUT = re.compile(r"(?<=[;,|])")


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> None:
    """Write the rows; fractions get six digits."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({k: f"{v:.6f}" if isinstance(v, float) else safe_cell(v) for k, v in row.items()})
    write_whole(path, text.getvalue())


def safe_cell(value: object) -> object:
    """Text in one line in which no piece is a formula: an apostrophe stands before those that would be."""
    if not isinstance(value, str):
        return value
    text = value.encode("utf-8", "replace").decode()
    plain = "".join(" " if unicodedata.category(sign) == "Cc" else sign for sign in text)
    return "".join(f"'{piece}" if _may_be_formula(piece) else piece for piece in _CUT.split(" ".join(plain.split())))


def bare_cell(text: str) -> str:
    """What `safe_cell` was given: without the apostrophes that it set."""
    pieces = _CUT.split(text)
    return "".join(piece[1:] if piece[:1] == "'" and _may_be_formula(piece[1:]) else piece for piece in pieces)


def _may_be_formula(piece: str) -> bool:
    """Whether a spreadsheet may calculate it: signs of any width, after whatever it may skip, but not a sign alone."""
    plain = unicodedata.normalize("NFKC", piece).strip()
    return len(plain) > 1 and next((sign for sign in plain if not _is_skipped(sign)), "") in ("=", "+", "-", "@")


def _is_skipped(sign: str) -> bool:
    """Blanks, invisible signs, and the quotation marks that a CSV file has around cells."""
    return sign in "\"'`" or unicodedata.category(sign)[0] in "ZC" or unicodedata.category(sign) in ("Pi", "Pf")
