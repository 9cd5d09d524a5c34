"""Tables as CSV files that a spreadsheet may open: some of their text comes from laptops that nobody here controls."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from lab_code.files import write_whole


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> None:
    """Write the rows; fractions get six digits."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({k: f"{v:.6f}" if isinstance(v, float) else _safe_cell(v) for k, v in row.items()})
    write_whole(path, text.getvalue())


def _safe_cell(value: object) -> object:
    """Text from a hand-in must not become a formula, or another row, when a spreadsheet opens the file."""
    if not isinstance(value, str):
        return value
    text = " ".join(value.encode("utf-8", "replace").decode().split())
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text
