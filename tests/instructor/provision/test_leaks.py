"""The search for secrets finds every kind in every form, says where, and lets sound kits pass."""

import base64
import bz2
import gzip
import hashlib
import io
import json
import lzma
import py_compile
import shutil
import sqlite3
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin

from instructor.dataset.prepare import prepare_data, shipped_files
from instructor.provision import kit as kit_module
from instructor.provision import workshop_kits
from instructor.provision.leaks import SecretSearch, find_leaks, refuse_leaks
from instructor.workshop import PROJECT, DataSource
from lab_code.data.ham10000 import DIAGNOSES, read_photographs
from lab_code.errors import LabError
from tests.conftest import make_small_workshop, no_progress

ANSWERS, RESCUE_CODE, RESCUE = ["2", "4", "0.5"], "S60S-SCS3-0Q59-Y9CB-0", bytes(range(200, 210))
ROOM, CHAIN, VAULT = "acorn-lemon-tiger", bytes(range(32)).hex(), b"a photograph of the hidden test set" * 10
FOCAL = (PROJECT / "locked/3-your-own/lab_code/losses/focal.py").read_bytes()
BASELINE = (PROJECT / "locked/1-configuration/lab_code/conf/experiment/baseline.yaml").read_bytes()
COMPARE = (PROJECT / "locked/2-imbalance/notebooks/compare.ipynb").read_bytes()

# What could leak, each with the text in which people and programs would write it.
SECRETS: dict[str, bytes] = {
    "answers": b'{"stage": 1, "answers": "2,4,0.5"}',
    "rescue": f"the code is {RESCUE_CODE.lower()}".encode(),
    "room code": b"say: acorn, lemon, tiger!",
    "chain": f"value = {CHAIN}".encode(),
    "focal.py": FOCAL,
    "baseline.yaml": BASELINE,
    "compare.ipynb": COMPARE,
}


@pytest.fixture
def secrets(tmp_path: Path) -> SecretSearch:
    search = SecretSearch()
    search.add_answers("answers", ANSWERS)
    search.add_code("rescue", RESCUE_CODE, RESCUE)
    search.add_code("room code", ROOM)
    search.add_code("chain", CHAIN, bytes.fromhex(CHAIN))
    for name, content in (("focal.py", FOCAL), ("baseline.yaml", BASELINE), ("compare.ipynb", COMPARE)):
        search.add_source(name, content)
    (tmp_path / "vault").mkdir()
    (tmp_path / "vault" / "test.jpg").write_bytes(VAULT)
    search.add_vault(tmp_path / "vault")
    return search


def zipped(secret: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("notes/inside.txt", secret)
    return file.getvalue()


def zip_comment(secret: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("empty.txt", b"")
        archive.comment = secret[:65_000]
    return file.getvalue()


def tarred(secret: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        member = tarfile.TarInfo("inside.txt")
        member.size = len(secret)
        archive.addfile(member, io.BytesIO(secret))
    return file.getvalue()


def database(secret: bytes) -> bytes:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE tags (key TEXT, value TEXT)")
    connection.execute("INSERT INTO tags VALUES ('note', ?)", (secret.decode(),))
    connection.commit()
    return connection.serialize()


def deleted_row(secret: bytes) -> bytes:
    connection = sqlite3.connect(":memory:")
    connection.execute("PRAGMA page_size = 65536")  # the whole text on one page
    connection.execute("PRAGMA secure_delete = OFF")
    connection.execute("CREATE TABLE tags (key TEXT, value TEXT)")
    connection.execute("INSERT INTO tags VALUES ('note', ?)", (secret.decode(),))
    connection.execute("DELETE FROM tags")
    connection.commit()
    return connection.serialize()


def notebook_output(secret: bytes) -> bytes:
    lines = secret.decode().splitlines(keepends=True)
    cell = {"cell_type": "code", "source": [], "outputs": [{"output_type": "stream", "text": lines}]}
    return json.dumps({"cells": [cell], "nbformat": 4}).encode()


def picture(secret: bytes) -> bytes:
    file, text = io.BytesIO(), PngImagePlugin.PngInfo()
    text.add_text("Comment", secret.decode("utf-8"), zip=True)
    Image.new("RGB", (2, 2)).save(file, "PNG", pnginfo=text)
    return file.getvalue()


FORMS: dict[str, Callable[[bytes], bytes]] = {
    "text": lambda s: b"before\n" + s + b"\nafter",
    "UTF-16": lambda s: ("before\n" + s.decode() + "\nafter").encode("utf-16"),
    "Windows line ends": lambda s: s.replace(b"\n", b"\r\n"),
    "JSON": lambda s: json.dumps({"x": [1, {"y": s.decode()}]}).encode(),
    "JSON with escapes": lambda s: json.dumps({"x": s.decode() + "ü"}, ensure_ascii=True).encode(),
    "notebook output": notebook_output,
    "base64": lambda s: b'"payload": "' + base64.b64encode(s) + b'"',
    "base64 in lines": lambda s: base64.encodebytes(s),
    "URL-safe base64 behind letters": lambda s: b"key_" + base64.urlsafe_b64encode(s),
    "hexadecimal": lambda s: b"0x" + s.hex().encode(),
    "base64 of gzip": lambda s: b"x = '" + base64.b64encode(gzip.compress(s)) + b"'",
    "zip": zipped,
    "zip comment": zip_comment,
    "zip in a zip": lambda s: zipped(zipped(s)),
    "tar.gz": tarred,
    "gzip": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zlib": zlib.compress,
    "database": database,
    "deleted row of a database": deleted_row,
    "text of a picture": picture,
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("what", SECRETS)
def test_a_planted_secret_is_found(tmp_path: Path, secrets: SecretSearch, what: str, form: str) -> None:
    root = tmp_path / "kit"
    (root / "notebooks").mkdir(parents=True)
    (root / "notebooks" / "planted.bin").write_bytes(FORMS[form](SECRETS[what]))
    leaks = find_leaks(root, secrets)
    assert what in {leak.what for leak in leaks}
    assert {leak.file for leak in leaks} == {"notebooks/planted.bin"}


def test_a_secret_in_plain_text_is_named_with_its_offset(tmp_path: Path, secrets: SecretSearch) -> None:
    (tmp_path / "kit").mkdir()
    (tmp_path / "kit" / "notes.txt").write_bytes(b"x" * 1000 + b" " + RESCUE_CODE.encode())
    assert [str(leak) for leak in find_leaks(tmp_path / "kit", secrets)] == [
        "notes.txt at byte 1001: rescue (as it is)"
    ]


def test_a_secret_in_base64_is_named_with_the_offset_of_its_run(tmp_path: Path, secrets: SecretSearch) -> None:
    (tmp_path / "kit").mkdir()
    (tmp_path / "kit" / "notes.txt").write_bytes(b"- " * 500 + base64.b64encode(b"code: " + RESCUE_CODE.encode()))
    (leak,) = find_leaks(tmp_path / "kit", secrets)
    assert (leak.offset, leak.form) == (1000, "base64")


@pytest.mark.parametrize("raw", [RESCUE, bytes.fromhex(CHAIN)], ids=["rescue", "chain"])
def test_the_bytes_behind_a_code_are_found_too(tmp_path: Path, secrets: SecretSearch, raw: bytes) -> None:
    (tmp_path / "kit").mkdir()
    (tmp_path / "kit" / "x.bin").write_bytes(b"\0" * 5 + raw)
    (tmp_path / "kit" / "x.txt").write_text(f"const KEY = '{raw.hex()}'", encoding="utf-8")
    assert {leak.file for leak in find_leaks(tmp_path / "kit", secrets)} == {"x.bin", "x.txt"}


@pytest.mark.parametrize(
    "text",
    [
        "lab unlock --answers 2,4,0.5", "lab unlock --answers 2, 4, 0.5", 'lab("unlock --answers 2,4,0.5")',
        "ANSWERS = [2, 4, 0.5]", 'answers: ["2", "4", "0.5"]', '["2","4","0.5"]', "2,4,0.5\n", "x\n  2, 4, 0.5\ny",
    ],
)  # fmt: skip
def test_answers_are_found_however_they_are_written(tmp_path: Path, secrets: SecretSearch, text: str) -> None:
    (tmp_path / "kit").mkdir()
    (tmp_path / "kit" / "x.md").write_text(text, encoding="utf-8")
    assert [leak.what for leak in find_leaks(tmp_path / "kit", secrets)] == ["answers"]


@pytest.mark.parametrize(
    "text", ["lab unlock --answers 3,1,4", "stride (2, 4, 0.5)", "--answers 2,4,0.5,1", "answers 12,4,0.5", "2,4,0.51"]
)
def test_other_numbers_are_no_answers(tmp_path: Path, secrets: SecretSearch, text: str) -> None:
    (tmp_path / "kit").mkdir()
    (tmp_path / "kit" / "x.md").write_text(text, encoding="utf-8")
    assert find_leaks(tmp_path / "kit", secrets) == []


def test_a_compiled_locked_module_is_found(tmp_path: Path, secrets: SecretSearch) -> None:
    (tmp_path / "kit" / "__pycache__").mkdir(parents=True)
    source = tmp_path / "anything.py"
    source.write_bytes(FOCAL)
    py_compile.compile(str(source), str(tmp_path / "kit" / "__pycache__" / "x.pyc"), doraise=True)
    assert "focal.py" in {leak.what for leak in find_leaks(tmp_path / "kit", secrets)}


def test_answers_in_compiled_code_are_found(tmp_path: Path, secrets: SecretSearch) -> None:
    (tmp_path / "kit").mkdir()
    source = tmp_path / "key.py"
    source.write_text("answers = (2, 4, 0.5)\n", encoding="utf-8")
    py_compile.compile(str(source), str(tmp_path / "kit" / "key.pyc"), doraise=True)
    assert [leak.what for leak in find_leaks(tmp_path / "kit", secrets)] == ["answers"]


def test_a_copy_from_the_vault_is_found_under_any_name(tmp_path: Path, secrets: SecretSearch) -> None:
    (tmp_path / "kit" / "data").mkdir(parents=True)
    (tmp_path / "kit" / "data" / "I1.jpg").write_bytes(VAULT)
    assert [leak.what for leak in find_leaks(tmp_path / "kit", secrets)] == ["a copy of vault/test.jpg"]


@pytest.mark.parametrize("at_once", [10, 10_000_000], ids=["each", "together"])
def test_among_many_photographs_the_one_with_a_secret_is_named(
    tmp_path: Path, secrets: SecretSearch, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr("instructor.provision.leaks._AT_ONCE", at_once)
    (tmp_path / "kit").mkdir()
    head, (first, second) = b"\xff\xd8\xff\xfe", (b"the code is " + RESCUE_CODE[:9].encode(), RESCUE_CODE[9:].encode())
    told = {"1.jpg": head + b"nothing", "2.JPG": head + SECRETS["rescue"], "3.jpeg": b"-2,4,0.5"}
    halves = {"4.jpg": head + b"\n" + first, "5.jpg": head + b"\n" + second, "6.jpg": head + b" answers:"}
    for name, content in {**told, **halves, "7.jpg": head + b"\n2,4,0.5"}.items():
        (tmp_path / "kit" / name).write_bytes(content)
    found = [(leak.file, leak.what, leak.offset) for leak in find_leaks(tmp_path / "kit", secrets)]
    assert found == [("2.JPG", "rescue", 16), ("7.jpg", "answers", 5)]


def test_a_bomb_is_refused(tmp_path: Path, secrets: SecretSearch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("instructor.provision.leaks.MOST_BYTES", 1_000_000)
    (tmp_path / "kit").mkdir()
    (tmp_path / "kit" / "x.gz").write_bytes(gzip.compress(bytes(2_000_000)))
    assert [leak.what for leak in find_leaks(tmp_path / "kit", secrets)] == ["more than can be searched"]


def test_a_build_with_a_leak_fails_and_leaves_no_kit(tmp_path: Path, monkeypatch, store_script: Path) -> None:
    shutil.copy(store_script, tmp_path)
    real = kit_module.plan_kit

    def careless(workshop, group, variant, data, *rest):
        plan = real(workshop, group, variant, data, *rest)
        plan.copied["data/HAM10000_images_part_1/SYN_0000000.jpg"] = read_photographs(data.test_folder)[0].path
        key = ",".join(plan.stages[0].answers)
        plan.written["notebooks/tried.md"] = f"lab unlock --answers {key}".encode()
        return plan

    monkeypatch.setattr(workshop_kits, "plan_kit", careless)
    done = workshop_kits.provision(make_small_workshop(groups=["group-1"]), tmp_path, no_progress)
    assert "notebooks/tried.md at byte 13: answers of group-1, stage 1-configuration" in done.failed["group-1"]
    assert "the picture of SYN_0000000 (lesion SYN_L" in done.failed["group-1"]
    assert "remove one of the two rows" in done.hints[0] and "remove it from where it comes from" in done.hints[0]
    assert list((tmp_path / "kits").iterdir()) == []


def write_row(folder: Path, file: str, row: str, header: str) -> None:
    (folder / "HAM10000_images_part_1").mkdir(parents=True)
    (folder / "HAM10000_images_part_1" / f"{file}.jpg").write_bytes(b"one picture" * 20)
    (folder / "HAM10000_metadata.csv").write_text(f"{header}\n{row}\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("header", "shipped", "hidden", "names"),
    [
        ("lesion_id,image_id,dx", "L1,I1,nv", "L2,I2,nv", ["I1 (lesion L1)", "I2 (lesion L2)"]),
        ("lesion_id,image_id,dx", "L1,I1,nv", "L2,I1,nv", ["I1 (lesion L1)", "I1 (lesion L2)"]),
        (
            "lesion_id,image_id,dx,image",
            "L1,0a1b,nv,clinic/1.png",
            "L2,2c3d,nv,clinic/2.png",
            ["clinic/1.png (lesion L1)", "clinic/2.png (lesion L2)"],
        ),
        ("lesion_id,image_id,dx,image", "L1,I1,nv,", "L2,I2,nv,I2.jpg", ["I1 (lesion L1)", "I2.jpg (lesion L2)"]),
    ],
)
def test_one_picture_under_two_names_names_both_rows_and_what_to_do(
    tmp_path: Path, header: str, shipped: str, hidden: str, names: list[str]
) -> None:
    for folder, row in ((tmp_path / "kit" / "data", shipped), (tmp_path / "vault" / "test", hidden)):
        write_row(folder, row.split(",")[1], row, header)
    search = SecretSearch()
    search.add_vault(tmp_path / "vault")
    (tmp_path / "vault" / "test" / "HAM10000_metadata.csv").unlink()  # only what was read before counts
    with pytest.raises(LabError) as caught:
        refuse_leaks(tmp_path / "kit", search)
    assert f"the picture of {names[0]} is the same as that of {names[1]}, which is hidden" in caught.value.message
    assert "remove one of the two rows" in (caught.value.hint or "")


def test_a_hidden_photograph_anywhere_else_says_where_to_look(tmp_path: Path) -> None:
    write_row(tmp_path / "vault" / "test", "I2", "L2,I2,nv", "lesion_id,image_id,dx")
    (tmp_path / "kit" / "notebooks").mkdir(parents=True)
    (tmp_path / "kit" / "notebooks" / "figure.jpg").write_bytes(b"one picture" * 20)
    search = SecretSearch()
    search.add_vault(tmp_path / "vault")
    with pytest.raises(LabError, match=r"notebooks/figure\.jpg at byte 0: a copy of vault/test/.*I2\.jpg") as caught:
        refuse_leaks(tmp_path / "kit", search)
    assert "remove it from where it comes from" in (caught.value.hint or "")


def test_nothing_of_a_folder_with_doubles_is_a_leak(tmp_path: Path) -> None:
    folder, rows = tmp_path / "photographs", ["image_id,dx"]
    folder.mkdir()
    for number in range(28):
        picture = Image.new("RGB", (20, 20), (9 * (number % 21), 99, 9))  # the first seven are there twice
        picture.save(folder / f"I{number}.png")
        rows.append(f"I{number},{DIAGNOSES[number % 7]}")
    (folder / "table.csv").write_text("\n".join(rows), encoding="utf-8")
    prepared = prepare_data(DataSource(source=str(folder), stored_size=32), tmp_path / "build")
    for path in shipped_files(prepared):
        target = tmp_path / "kit" / "data" / path.relative_to(prepared.folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    search = SecretSearch()
    search.add_vault(tmp_path / "build" / "vault")
    refuse_leaks(tmp_path / "kit", search)
    assert "the same picture more than once: 7" in "\n".join(prepared.notes)


# --- many groups ------------------------------------------------------------------------------------------------------

GROUPS = range(60)


def answers_of(group: int) -> list[str]:
    return [str(group % 4 + 1), str(group // 4 + 1), f"0.{group}5"]


def code_of(group: int) -> str:
    return f"{group:04d}-KLMN-{group:04d}-PQRS-T"


@pytest.fixture(scope="module")
def many() -> SecretSearch:
    search = SecretSearch()
    for group in GROUPS:
        search.add_answers(f"answers of {group}", answers_of(group))
        search.add_code(f"code of {group}", code_of(group), bytes([group]) * 9)
        search.add_bytes(f"value of {group}", f"value {group:03d}".encode())
    return search


@pytest.mark.parametrize(
    ("what", "write"),
    [
        ("answers of", lambda group: "tried --answers " + ",".join(answers_of(group)) + "\n"),
        ("answers of", lambda group: json.dumps({"given": answers_of(group)})),
        ("answers of", lambda group: "notes\n  " + ", ".join(answers_of(group)) + "  \n"),
        ("code of", lambda group: "say " + " ".join(code_of(group).lower())),
        ("code of", lambda group: "\0\1" + chr(group) * 9 + "\0"),
        ("value of", lambda group: f"value {group - 1:02d}, value {group:03d}9"),
    ],
)
def test_of_many_groups_the_one_that_is_planted_is_named(tmp_path: Path, many: SecretSearch, what: str, write) -> None:
    for group in (9, 34, 59):
        (tmp_path / "x.txt").write_text(write(group), encoding="latin-1", newline="")
        assert [leak.what for leak in find_leaks(tmp_path, many)] == [f"{what} {group}"]


def test_secrets_that_lie_over_each_other_are_all_found(tmp_path: Path) -> None:
    search = SecretSearch()
    for what, answers in {
        "short": ["1", "2"],
        "same": ["1", "2"],
        "words": ["a.py", "b"],
        "long": ["4", "1", "2"],
    }.items():
        search.add_answers(what, answers)
    search.add_code("code", "ABCD-EFGH")
    search.add_code("longer code", "ABCD-EFGH-IJKL")
    search.add_code("code inside", "CDEF")
    search.add_source("first.md", b"one line of it all\nsecond line of both\n")
    search.add_source("second.yaml", b"second line of both\nwith a third line here\n")
    text = "answers: 1,2\n4, 1, 2\nA.PY,b\n a.py;b \nabcd efgh, ijkl\nsecond line of both"
    (tmp_path / "x.txt").write_text(text, encoding="utf-8")
    assert sorted(leak.what for leak in find_leaks(tmp_path, search)) == sorted(
        ["short", "same", "long", "words", "code", "longer code", "code inside", "first.md", "second.yaml"]
    )


def test_what_was_clean_is_searched_again_for_a_new_secret(tmp_path: Path, secrets: SecretSearch) -> None:
    (tmp_path / "kit").mkdir()
    (tmp_path / "kit" / "x.md").write_bytes(b"say: violin-harbour")
    assert find_leaks(tmp_path / "kit", secrets) == []
    secrets.add_code("another room code", "violin-harbour")
    assert [leak.what for leak in find_leaks(tmp_path / "kit", secrets)] == ["another room code"]


def test_only_what_was_searched_before_is_passed_over(tmp_path: Path, secrets: SecretSearch) -> None:
    digests = {}
    for name, content in (("a.md", b"nothing"), ("b.md", RESCUE_CODE.encode())):
        (tmp_path / "kit").mkdir(exist_ok=True)
        (tmp_path / "kit" / name).write_bytes(content)
        digests[name] = hashlib.sha256(content).hexdigest()
    for _ in range(2):
        assert [leak.file for leak in find_leaks(tmp_path / "kit", secrets, digests)] == ["b.md"]
    (tmp_path / "kit" / "c.md").write_bytes(RESCUE_CODE.encode())  # nobody says what it holds
    assert [leak.file for leak in find_leaks(tmp_path / "kit", secrets, digests)] == ["b.md", "c.md"]


def test_an_empty_locked_file_is_in_nothing(tmp_path: Path) -> None:
    search = SecretSearch()
    search.add_source("__init__.py", b"")
    (tmp_path / "x.txt").write_bytes(b"anything")
    (tmp_path / "y.txt").write_bytes(b"")
    assert find_leaks(tmp_path, search) == []
