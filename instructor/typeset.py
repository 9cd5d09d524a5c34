"""Pages and pictures set by Typst: from a template beside the code, and data as JSON.

    set_pages(FOLDER / "run_sheet.typ", data)               # PDF, accessible
    set_pages(FOLDER / "plan.typ", data, kind="png")        # one picture, of its only page

Texts reach a template as JSON, never as Typst source, so they may hold any character. Only the fonts inside Typst are
used, and nothing carries a date: the same input gives the same bytes on every machine.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, Literal, cast

import typst

from lab_code.errors import LabError
from lab_code.workshop.mark import DIFFERENT, mark_of

_ROOT = Path(__file__).parent  # templates may import from each other: "/provision/sheet.typ"
# Accessible PDF: tagged text to be read aloud. Typst then also refuses text that none of its fonts can show, which it
# would otherwise print as empty boxes.
_STANDARD: Final = "ua-1"
_PPI = 144
_REMEMBERED = 10  # documents: Typst forgets what it has set when so many others came later; a sheet fills 20 MB


def set_pages(
    template: Path, data: dict[str, Any], *, kind: Literal["pdf", "png"] = "pdf", root: Path = _ROOT
) -> bytes:
    """The document as bytes; as a picture it must have one page. Raises `LabError` where it cannot be set.

    `root` is the folder that templates may read from; it holds the template.
    """
    pages = _compile(template, data, kind, root)
    if isinstance(pages, list):
        raise LabError(f"{template} has {len(pages)} pages, a picture needs one", hint="write it as PDF")
    return pages


def set_each_page(template: Path, data: dict[str, Any], *, root: Path = _ROOT) -> list[bytes]:
    """Every page as an SVG picture. Raises `LabError` where it cannot be set."""
    pages = _compile(template, data, "svg", root)
    return pages if isinstance(pages, list) else [pages]


def read_notes(template: Path, data: dict[str, Any], label: str, *, root: Path = _ROOT) -> list[Any]:
    """What a template says with `#metadata(…) <label>`, in order."""
    options = _options(data, root)
    return list(json.loads(_explain(template, lambda: typst.query(template, f"<{label}>", field="value", **options))))


def _compile(template: Path, data: dict[str, Any], kind: str, root: Path) -> Any:
    extra: Any = {"pdf": {"pdf_standards": _STANDARD}, "png": {"ppi": _PPI}}.get(kind, {})
    options = _options(data, root) | extra
    return _explain(template, lambda: typst.compile(template, format=cast(Any, kind), **options))


def _options(data: dict[str, Any], root: Path) -> Any:
    """Every template is given the marks of the groups beside its own data."""
    marked = {**data, "marks": [asdict(mark_of(number)) for number in range(1, DIFFERENT + 1)]}
    return {"root": root, "ignore_system_fonts": True, "sys_inputs": {"data": json.dumps(marked, ensure_ascii=False)}}


def _explain(template: Path, work: Any) -> Any:
    try:
        return work()
    except typst.TypstError as error:
        raise LabError(
            f"{template} cannot be set: {error}",
            hint="change the text it names in quiz/bank.yaml or workshop.yaml; if it names none, mend the template",
        ) from error
    finally:
        for _ in range(_REMEMBERED):
            typst.compile(b"", ignore_system_fonts=True)
