"""A kit's folder knows the SHA-256 of everything that was written into it, by whatever way."""

from pathlib import Path

from instructor.provision.kit_folder import KitFolder
from lab_code.files import sha256_file


def test_every_file_is_there_with_its_digest_and_its_rights(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(bytes(range(256)) * 999)
    kit = KitFolder(tmp_path / "kit")
    kit.copy(tmp_path / "source", "a folder/with/ümlaut.bin")
    kit.copy(tmp_path / "source", "lab", 0o755)
    kit.write("a folder/secret.key", b"key", 0o600)
    kit.write("empty", b"")
    (kit.root / "sheet.pdf").write_bytes(b"%PDF")
    kit.add("sheet.pdf")
    found = {path.relative_to(kit.root).as_posix(): path for path in kit.root.rglob("*") if path.is_file()}
    assert kit.digests == {name: sha256_file(path) for name, path in found.items()}
    assert found["lab"].read_bytes() == (tmp_path / "source").read_bytes()
    assert [found[name].stat().st_mode & 0o777 for name in ("lab", "a folder/secret.key")] == [0o755, 0o600]


def test_a_kit_is_its_own_whatever_is_written_in_another(tmp_path: Path) -> None:
    (tmp_path / "photograph.jpg").write_bytes(b"before")
    for group in ("one", "two"):
        KitFolder(tmp_path / group).copy(tmp_path / "photograph.jpg", "data/I1.jpg")
    with (tmp_path / "one" / "data" / "I1.jpg").open("r+b") as file:  # in place, as some programs save
        file.write(b"AFTER!")
    assert (tmp_path / "two" / "data" / "I1.jpg").read_bytes() == b"before"
    assert (tmp_path / "photograph.jpg").read_bytes() == b"before"
