"""Plan, run sheet, print file and slides: every text of the schedule is on them, codes are where they belong."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from pypdf import PdfReader

from instructor.classroom.papers import write_plan, write_print_file, write_run_sheet
from instructor.classroom.pictures import Picture, Pictures
from instructor.classroom.schedule import Part, Schedule
from instructor.classroom.slides import write_slides
from instructor.vault import Vault
from instructor.workshop import Workshop, read_workshop
from lab_code.errors import LabError


@pytest.fixture(scope="module")
def described() -> Workshop:
    return read_workshop()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Pictures:
    folder = tmp_path_factory.mktemp("pictures")
    names = ("curves", "sensitivities", "confusions")
    for name in names:
        Image.new("RGB", (1000, 460), "white").save(folder / f"{name}.png")
    shown = {name: Picture(f"{name}.png", f"what {name} show") for name in names}
    return Pictures(folder, "", shown, {"runs": "two runs", "gain": "a gain"})


def words(path: Path) -> list[str]:
    """The text of every page, in one line each."""
    return [re.sub(r"\s+", " ", page.extract_text()) for page in PdfReader(path).pages]


def test_the_plan_shows_preparation_and_class_on_one_page(described: Workshop, tmp_path: Path) -> None:
    pdf, png = write_plan(described, tmp_path)
    (page,) = words(pdf)
    for title in [part.title for part in described.schedule.parts] + ["The week before", "The evening before"]:
        assert title in page
    with Image.open(png) as image:
        assert image.size[0] > 1500


def test_a_plan_of_any_schedule_fits(described: Workshop, tmp_path: Path) -> None:
    parts = [Part(f"part-{n}", f"Part {n} <b>#{n}</b> $x$", "slides", 1 + 59 * (n == 3)) for n in range(9)]
    odd = replace(described, schedule=Schedule(68, parts, []))
    assert "Part 8 <b>#8</b> $x$" in words(write_plan(odd, tmp_path)[0])[0]


def test_the_run_sheet_has_every_line_and_keeps_codes_on_a_page_of_their_own(
    build: Path, workshop: Workshop, described: Workshop, tmp_path: Path
) -> None:
    given = replace(workshop, schedule=described.schedule)
    vault = Vault(build)
    write_run_sheet(given, vault, tmp_path / "run-sheet.pdf")
    pages = words(tmp_path / "run-sheet.pdf")
    first = "".join(pages[:-1]).replace(" ", "")
    for part in described.schedule.parts:
        for line in [part.title, *part.say, *part.do, part.behind]:
            assert line.replace(" ", "") in first.replace("“", '"'), line
    for entries in vault.read_key().values():
        for entry in entries:
            assert entry["rescue"] in pages[-1] and entry["rescue"] not in first


def test_without_kits_the_run_sheet_has_no_page_of_codes(described: Workshop, tmp_path: Path) -> None:
    write_run_sheet(described, Vault(tmp_path / "build"), tmp_path / "run-sheet.pdf")
    assert not any("Instructor only" in page for page in words(tmp_path / "run-sheet.pdf"))


def test_room_codes_stand_on_the_instructors_page(
    build: Path, workshop: Workshop, described: Workshop, tmp_path: Path
) -> None:
    locks = replace(workshop.locks, room_code=True)
    given = replace(workshop, schedule=described.schedule, locks=locks)
    write_run_sheet(given, Vault(build), tmp_path / "run-sheet.pdf")
    code = Vault(build).room_code(workshop.id, workshop.stages[0].id)
    assert code in words(tmp_path / "run-sheet.pdf")[-1].replace(" ", "")


def test_one_print_file_holds_sheets_run_sheet_and_key(
    build: Path, workshop: Workshop, described: Workshop, tmp_path: Path
) -> None:
    given = replace(workshop, schedule=described.schedule)
    pages = write_print_file(build, given, tmp_path / "print.pdf")
    reader = PdfReader(tmp_path / "print.pdf")
    assert len(reader.pages) == pages
    parts = [entry for entry in reader.outline if not isinstance(entry, list)]
    titles = [entry.title for entry in parts]
    assert titles == [*workshop.groups, "run-sheet", "key"]
    starts = [reader.get_destination_page_number(entry) for entry in parts]
    assert all(start % 2 == 0 for start in starts[: len(workshop.groups)])
    for group, start in zip(workshop.groups, starts, strict=False):
        assert group in reader.pages[start or 0].extract_text()


def test_a_print_file_without_kits_names_what_is_missing(described: Workshop, tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"instructions\.pdf is missing"):
        write_print_file(tmp_path, described, tmp_path / "print.pdf")
    assert not (tmp_path / "print.pdf").exists()


def test_slides_are_the_same_pages_as_pdf_and_as_one_offline_file(
    described: Workshop, pictures: Pictures, tmp_path: Path
) -> None:
    pdf, html = write_slides(described, pictures, tmp_path)
    page = html.read_text(encoding="utf-8")
    reader = PdfReader(pdf)
    assert page.count('class="slide"') == len(reader.pages) == 14
    assert (
        "Three weeks of" in reader.pages[0].extract_text() and "Now you can answer." in reader.pages[-1].extract_text()
    )
    assert not re.findall(r"(?:src|href)=\"(?!#|data:)[^\"]*\"", page)
    assert "what curves show" in page and '"conclusion": 5' in page


def test_the_same_runs_give_the_same_slides(described: Workshop, pictures: Pictures, tmp_path: Path) -> None:
    first = [path.read_bytes() for path in write_slides(described, pictures, tmp_path / "a")]
    assert first == [path.read_bytes() for path in write_slides(described, pictures, tmp_path / "b")]


def test_hostile_texts_stay_texts(described: Workshop, pictures: Pictures, tmp_path: Path) -> None:
    title = "</script><b>#{ $x"
    _, html = write_slides(replace(described, title=title), pictures, tmp_path)
    page = html.read_text(encoding="utf-8")
    assert "<b>#{" not in page and page.count("</script>") == 2


def test_a_slide_that_overflows_is_named(described: Workshop, pictures: Pictures, tmp_path: Path) -> None:
    stages = [replace(stage, title="A very long title of a stage " * 20) for stage in described.stages]
    with pytest.raises(LabError, match="slide 7 'What you will do' does not fit"):
        write_slides(replace(described, stages=stages), pictures, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_picture_that_is_missing_is_an_error_that_names_it(
    described: Workshop, pictures: Pictures, tmp_path: Path
) -> None:
    lost = replace(pictures, folder=tmp_path)
    with pytest.raises((LabError, FileNotFoundError), match=r"curves\.png"):
        write_slides(described, lost, tmp_path / "out")
