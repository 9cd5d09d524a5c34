"""The slides: one Typst source, set as PDF and as one HTML file that presents offline.

    write_slides(workshop, pictures, folder)        # slides.pdf, slides.html

`slides.typ` holds every slide with its notes; `slides.html` is the presenter around the same pages: keys, speaker's
view with notes and clock, a second window that follows.
"""

import io
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from jinja2 import Environment
from pypdf import PdfReader

from instructor.classroom.pictures import Pictures
from instructor.classroom.schedule import GROUPS, Schedule
from instructor.typeset import read_notes, set_each_page, set_pages
from instructor.workshop import Workshop, find_experiments
from lab_code.data.dataset import Dataset
from lab_code.data.ham10000 import HAM10000
from lab_code.errors import LabError
from lab_code.files import write_whole

_FOLDER = Path(__file__).parent
_SOURCE = _FOLDER / "slides.typ"
_MOST_LINES, _WIDEST = 9, 40  # of an experiment's file
# A slide says which part it belongs to by its kind, since another workshop may name its parts differently.
_KIND_OF = {"introduction": "slides", "film": "film", "conclusion": "ceremony"}


def write_slides(workshop: Workshop, pictures: Pictures, folder: Path, dataset: Dataset = HAM10000) -> list[Path]:
    """Write `slides.pdf` and `slides.html`. Raises `LabError` where a text does not fit its slide."""
    data = _describe(workshop, pictures) | {"words": _choose_words(dataset)}
    with _beside(pictures) as source:
        slides = read_notes(source, data, "slide", root=source.parent)
        pages = set_each_page(source, data, root=source.parent)
        _refuse_overflow(slides, len(pages))
        document = set_pages(source, data, root=source.parent)
    written = [folder / "slides.pdf", folder / "slides.html"]
    write_whole(written[0], document)
    write_whole(written[1], _make_page(workshop, slides, pages, _read_texts(document)))
    return written


def _refuse_overflow(slides: list[dict[str, Any]], pages: int) -> None:
    """Raises `LabError` that names the first slide that needs more than its page."""
    begins = [slide["page"] for slide in slides] + [pages + 1]
    for number, (slide, (begin, end)) in enumerate(zip(slides, pairwise(begins), strict=True), 1):
        if end - begin != 1:
            raise LabError(
                f"slide {number} '{slide['title']}' does not fit on one page",
                hint=f"shorten its texts: title and stages' titles in workshop.yaml, or the slide in {_SOURCE}",
            )


@contextmanager
def _beside(pictures: Pictures) -> Iterator[Path]:
    """The source in one folder with its pictures, as Typst wants it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file in (_SOURCE, *(pictures.folder / picture.file for picture in pictures.pictures.values())):
            shutil.copy(file, folder)
        yield folder / _SOURCE.name


def _describe(workshop: Workshop, pictures: Pictures) -> dict[str, Any]:
    stages = [{"number": number, "title": stage.title} for number, stage in enumerate(workshop.stages, 1)]
    return {
        "title": workshop.title,
        "groups": len(workshop.groups),
        "minutes": workshop.activity_minutes,
        "stages": stages,
        "pictures": {name: {"path": picture.file, "alt": picture.alt} for name, picture in pictures.pictures.items()},
        "figures": pictures.figures,
        "experiments": list(find_experiments(workshop)),
        "file": _show_experiment(workshop),
    }


def _choose_words(dataset: Dataset) -> dict[str, str]:
    """What the slides call the classes: two of them to be told apart, the rare one, several of any."""
    codes = dataset.codes
    rare = codes.index(dataset.spotlight) if dataset.spotlight else len(codes) - 1
    one, other = (dataset.classes[number % len(codes)] for number in (rare + 1, rare))
    plain = [known.name if known.several.endswith(f" {known.name}") else known.several for known in (one, other)]
    return {"one": plain[0], "other": plain[1], "rare": dataset.rare, "classes": dataset.class_words[1]}


def _show_experiment(workshop: Workshop) -> dict[str, Any]:
    """The file of the first experiment as a slide can hold it: without comments, and of a long one the beginning."""
    name, file = next(iter(find_experiments(workshop).items()), ("my-idea", None))
    text = file.read_text(encoding="utf-8") if file else "name: my-idea\noptimizer:\n  lr: 0.01\n"
    lines = [line.partition(" #")[0].rstrip() for line in text.splitlines() if not line.lstrip().startswith("#")]
    shown = [f"{line[:_WIDEST]}…" if len(line) > _WIDEST else line for line in lines if line]
    return {"name": name, "lines": shown[:_MOST_LINES] + ["…"] * (len(shown) > _MOST_LINES)}


def _make_page(workshop: Workshop, slides: list[dict[str, Any]], pages: list[bytes], texts: list[str]) -> str:
    environment = Environment(autoescape=True, trim_blocks=True)
    template = environment.from_string((_FOLDER / "slides.html").read_text(encoding="utf-8"))
    shown = [
        {**slide, "svg": _own_names(page.decode("utf-8"), number), "text": text}
        for number, (slide, page, text) in enumerate(zip(slides, pages, texts, strict=True))
    ]
    told = {
        "slides": [{"notes": slide["notes"], "part": slide["part"]} for slide in slides],
        "minutes": _minutes(workshop.schedule),
    }
    # "</script>" in a title must not end the script that carries it.
    data = json.dumps(told, ensure_ascii=False).replace("<", "\\u003c")
    return template.render(title=workshop.title, slides=shown, data=data)


def _read_texts(document: bytes) -> list[str]:
    """What stands on every slide, for those who have it read aloud: a picture of letters says nothing."""
    return [" ".join(page.extract_text().split()) for page in PdfReader(io.BytesIO(document)).pages]


def _own_names(svg: str, number: int) -> str:
    """Ids inside a page are unique in that page only: in one document each needs its page's number."""
    return (
        svg.replace('id="', f'id="p{number}-')
        .replace('href="#', f'href="#p{number}-')
        .replace("url(#", f"url(#p{number}-")
    )


def _minutes(schedule: Schedule) -> dict[str, int]:
    of_kind = {part.kind: part.minutes for part in reversed(schedule.parts) if part.kind != GROUPS}
    return {part: of_kind[kind] for part, kind in _KIND_OF.items() if kind in of_kind}
