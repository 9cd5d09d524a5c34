import re
from pathlib import Path

import pytest
from PIL import Image

from lab_code.data.lesions import read_folder
from lab_code.errors import LabError


def make(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 16)).save(folder / name)
    return folder


def test_each_folder_is_the_diagnosis_it_is_named_after(tmp_path: Path) -> None:
    folder = make(tmp_path, "Melanoma/1.jpg", "NV/1.png", "NV/more/2.webp", "scc/3.jpg")
    (folder / "NV" / "._1.png").write_bytes(b"macOS")
    (folder / ".DS_Store").write_bytes(b"macOS")
    (folder / "NV" / "notes.csv").write_text("who,when\nme,today\n", encoding="utf-8")
    reading = read_folder(folder)
    assert [(p.image_id, p.lesion_id, p.dx) for p in reading.photographs] == [
        ("Melanoma/1.jpg", "Melanoma/1.jpg", "mel"),
        ("NV/1.png", "NV/1.png", "nv"),
        ("NV/more/2.webp", "NV/more/2.webp", "nv"),
    ]
    assert "lesion of its own" in reading.notes[0]
    assert "read by name: Melanoma as mel" in reading.notes and "1 of 'scc'" in reading.notes[-1]


@pytest.mark.parametrize(
    ("names", "message", "hint"),
    [
        (["mel/1.jpg", "nv/1.jpg", "melanmoa/1.jpg"], "melanmoa is no diagnosis", "'melanoma'?"),
        (["mel/1.jpg", "nv/1.jpg", "loose.jpg"], r"loose\.jpg lies in no folder of a diagnosis", "rename or move it"),
        (
            ["a/mel/1.jpg", "a/nv/1.jpg", "a/nv/2.jpg", "b/nv/1.jpg", "b/mel/1.jpg"],
            "no metadata table",
            "inside it: .*/a$",
        ),
        (["mel/1.jpg", "images/1.jpg"], "no metadata table", "one folder for each diagnosis"),
    ],
)
def test_what_fits_no_diagnosis_is_named_with_what_would(
    tmp_path: Path, names: list[str], message: str, hint: str
) -> None:
    with pytest.raises(LabError, match=message) as caught:
        read_folder(make(tmp_path, *names))
    assert re.search(hint, caught.value.hint or "")
