"""Tables as people save them: whatever Excel, LibreOffice, pandas or an editor wrote is read, or refused by name."""

from pathlib import Path

import pytest

from lab_code.data.csv_file import read_table
from lab_code.errors import LabError

COMMAS = "image,dx,place\n1,nv,Rücken\n2,mel,Knie\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_every_encoding_and_separator_is_read(tmp_path: Path, encoding: str, separator: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(COMMAS.replace(",", separator).encode(encoding))
    table = read_table(path)
    assert table.columns == ["image", "dx", "place"]
    assert table.rows[0] == (2, {"image": "1", "dx": "nv", "place": "Rücken"})


@pytest.mark.parametrize(
    "text",
    [
        COMMAS.replace("\n", "\r\n"),
        COMMAS.replace("\n", "\r"),
        "sep=,\r\n" + COMMAS,
        "\n" + COMMAS,
        COMMAS + "\n,,\n",
        "image , dx,place\n 1 , nv,Rücken \n2,mel,Knie",
        '"image","dx","place"\n"1","nv","Rücken"\n"2","mel","Knie"\n',
        "image,dx,place,\n1,nv,Rücken,\n2,mel,Knie,\n",
        ",image,dx,place\n0,1,nv,Rücken\n1,2,mel,Knie\n",
        COMMAS.replace("ü", "u\u0308"),
        COMMAS.replace("nv", "\x1bnv"),
    ],
    ids=[
        "windows",
        "old mac",
        "sep",
        "blank first",
        "blank rows",
        "blanks",
        "quoted",
        "trailing",
        "index",
        "NFD",
        "esc",
    ],
)
def test_what_programs_add_changes_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.csv").write_bytes(text.encode())
    table = read_table(tmp_path / "t.csv")
    assert [row for _, row in table.rows] == [
        {"image": "1", "dx": "nv", "place": "Rücken"},
        {"image": "2", "dx": "mel", "place": "Knie"},
    ]


def test_a_cell_may_hold_separators_and_line_ends(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('image,note\n1,"a, b\nc"\n2,d\n', encoding="utf-8")
    assert read_table(tmp_path / "t.csv").rows == [
        (2, {"image": "1", "note": "a, b\nc"}),
        (4, {"image": "2", "note": "d"}),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"image,dx,image\n1,nv,2\n", "columns 1 and 3 are both named 'image'"),
        (b"image,dx, Image \n1,nv,2\n", "columns 1 and 3 are both named 'Image'"),
        (b"image;dx;DX\n1;nv;mel\n", "columns 2 and 3 are both named 'DX'"),
        (b"image,dx\n1,nv\n2,mel,more\n", "line 3 has 3 cells, but the first line names 2 columns"),
        (b"PK\x03\x04\x14\x00\x06\x00", "is an Excel file"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "is an Excel file"),
        (b"image,dx\n\x00\x00\x00", "is not UTF-8 text"),
        (b"\x81\x8d\x8f", "is not UTF-8 text"),
        (b"image,dx\n1," + b"x" * 200_000, r"line 2 \(field larger than field limit"),
    ],
)
def test_what_cannot_be_read_without_guessing_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(LabError, match=message) as caught:
        read_table(tmp_path / "t.csv")
    assert str(tmp_path / "t.csv") in caught.value.message and caught.value.hint


# What stands in the table, and the line in which the row begins that holds the stray quotation mark.
STRAY = {
    "never closed": ('image,dx,note\n1,nv,"open\n2,mel,x\n3,nv,y\n', 2),
    "never closed, in the last row": ('image,dx,note\n1,nv,x\n2,mel,"y\n', 3),
    "never closed, in the header": ('image,dx,"note\n1,nv,x\n2,mel,y\n', 1),
    "never closed, after a cell of two lines": ('image,dx,note\n1,nv,"a\nb"\n2,mel,"y\n3,nv,z\n', 4),
    "never closed, after an empty line": ('image,dx,note\n\n1,nv,"open\n2,mel,x\n', 3),
    "never closed, below sep=": ('sep=,\nimage,dx,note\n1,nv,"open\n2,mel,x\n', 3),
    "never closed, 200,000 letters": ('image,dx,note\n1,nv,"open' + "\n2,mel,x" * 20_000, 2),
    "closed too early": ('image,dx,note\n1,nv,"5" wide\n2,mel,x\n', 2),
    "closed in a later row": ('image,dx,note\n1,nv,"open\n2,mel,"x"\n3,nv,y\n', 2),
    "closed by a later row's end": ('image,dx,note\n1,nv,"5"" wide\n2,mel,x\n3,nv,y"\n', 2),
    "closed by the next row, below sep=": ('sep=;\nimage;dx;note\n1;nv;"left\n2;mel;right"\n3;nv;y\n', 3),
    "closed by the next row": ('image;dx;note\n1;nv;"left\n2;mel;right"\n3;nv;y\n', 2),
    "Windows": ('image,dx,note\r\n1,nv,x\r\n2,mel,"open\r\n3,nv,y\r\n', 3),
}


@pytest.mark.parametrize("kind", STRAY)
def test_a_stray_quotation_mark_never_swallows_rows(tmp_path: Path, kind: str) -> None:
    text, line = STRAY[kind]
    (tmp_path / "t.csv").write_bytes(text.encode())
    with pytest.raises(LabError, match=f"a quotation mark in line {line} or below") as caught:
        read_table(tmp_path / "t.csv")
    assert str(tmp_path / "t.csv") in caught.value.message and 'write each " twice' in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ('image,dx,note\n1,nv,5" wide\n', '5" wide'),
        ('image,dx,note\n1,nv,"5"" wide"\n', '5" wide'),
        ('image,dx,note\n1,nv,"seen:\nleft, right, back\nand below"\n', "seen:\nleft, right, back\nand below"),
        ('image,dx,note\n1,nv,"a,b,c"\n', "a,b,c"),
        ('image,dx,note\n1,nv,""\n', ""),
    ],
)
def test_quotation_marks_that_mean_something_are_read(tmp_path: Path, text: str, note: str) -> None:
    (tmp_path / "t.csv").write_bytes(text.encode())
    assert read_table(tmp_path / "t.csv").rows == [(2, {"image": "1", "dx": "nv", "note": note})]
