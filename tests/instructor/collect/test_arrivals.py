"""Hand-ins as they arrive: re-zipped, wrapped, unpacked, renamed; and what is no hand-in, refused in a sentence."""

import os
import shutil
import unicodedata
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from instructor.collect.collect import Collected, collect_handins
from instructor.collect.finding import find_parcels
from instructor.results import show
from instructor.vault import Vault
from instructor.workshop import HandinLimits, Workshop
from tests.conftest import find_once, no_progress
from tests.instructor.collect.conftest import Desk, stay_here
from tests.instructor.collect.faulty_class import as_group, read_class, workshop_of
from tests.instructor.collect.hand_ins import Files, edit_manifest, put, read_zip, sign_again, write_zip, zip_bytes


def below(folder: str, members: Files) -> Files:
    return {f"{folder}/{name}": content for name, content in members.items()}


def with_macos_clutter(members: Files) -> Files:
    clutter = {f"__MACOSX/hand-in/._{name.rpartition('/')[2]}": b"\0\5\x16\7" for name in members}
    return {**below("hand-in", members), **clutter, "hand-in/.DS_Store": b"\0", "hand-in/mlartifacts/._x.png": b"\0"}


def with_backslashes(path: Path, members: Files) -> None:
    write_zip(path, members)
    content = path.read_bytes()
    for name in members:
        content = content.replace(name.encode(), name.replace("/", "\\").encode())
    path.write_bytes(content)


def with_folder_entries(path: Path, members: Files) -> None:
    write_zip(path, members)
    with zipfile.ZipFile(path, "a") as archive:
        archive.mkdir("mlartifacts/empty")
        archive.mkdir("mlartifacts/skin-lesions/empty")


def unpack(path: Path, members: Files, *, clutter: bool = False) -> None:
    path.unlink(missing_ok=True)
    folder = path.with_suffix("")
    for name, content in members.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    if clutter:
        (folder / ".DS_Store").write_bytes(b"\0")
        (folder / "mlartifacts" / "._x").write_bytes(b"\0")
        (folder / "Thumbs.db").write_bytes(b"\0")


ARRIVALS: dict[str, Callable[[Path, Files], object]] = {
    "as it was written": write_zip,
    "re-zipped with one top folder": lambda path, m: write_zip(path, below("group-2-20260504", m)),
    "a top folder with an umlaut, as macOS spells it": lambda path, m: write_zip(
        path, below(unicodedata.normalize("NFD", "Gruppe für uns"), m)
    ),
    "two folders deep": lambda path, m: write_zip(path, below("Desktop/our hand-in", m)),
    "with ./ before each name": lambda path, m: write_zip(path, below(".", m)),
    "re-zipped on macOS": lambda path, m: write_zip(path, with_macos_clutter(m)),
    "with backslashes": with_backslashes,
    "with entries for folders": with_folder_entries,
    "stored, not compressed": lambda path, m: write_zip(path, m, zipfile.ZIP_STORED),
    "compressed by bzip2": lambda path, m: write_zip(path, m, zipfile.ZIP_BZIP2),
    "compressed by lzma": lambda path, m: write_zip(path, m, zipfile.ZIP_LZMA),
    "a zip in a zip": lambda path, m: write_zip(path, {"hand-in.zip": zip_bytes(m)}),
    "as a learning platform downloads all": lambda path, m: write_zip(
        path, {"Group 2_4711_assignsubmission_file/group-2.ZIP": zip_bytes(m)}
    ),
    "a platform's folders of unpacked files": lambda path, m: write_zip(path, below("Group 2_4711_file", m)),
    "the whole kit, zipped": lambda path, m: write_zip(
        path, {"group-2/kit.json": m["kit.json"], "group-2/handin/group-2.zip": zip_bytes(m)}
    ),
    "unpacked": unpack,
    "unpacked, and looked at in a file manager": lambda path, m: unpack(path, m, clutter=True),
    "unpacked two folders deep": lambda path, m: unpack(path.with_suffix("") / "again" / path.name, m) or path.unlink(),
    "with an ending in capitals": lambda path, m: write_zip(path.with_suffix(".ZIP"), m) or path.unlink(),
    "renamed by a browser": lambda path, m: write_zip(path.with_name("group-2 (1).zip"), m) or path.unlink(),
    "without an ending": lambda path, m: path.rename(path.with_name("group-2")),
    "as Safari keeps a download": lambda path, m: path.rename(path.with_name("group-2.zip.download")),
    "as Firefox keeps a download": lambda path, m: path.rename(path.with_name("group-2.part")),
}


def test_one_download_brings_all_groups_and_one_bad_zip_in_it_is_named(desk: Desk) -> None:
    everything = {f"{group}_1/{group}.zip": zip_bytes(desk.members(group)) for group in desk.zips}
    for path in desk.zips.values():
        path.unlink()
    everything["group-2_1/group-2.zip"] = everything["group-2_1/group-2.zip"][:-300]
    write_zip(desk.inbox / "all.zip", everything)
    collected = desk.collect()
    assert sorted(row.group for row in collected.rows) == ["group-1", "group-3"]
    (shown, reason), *others = collected.refused.items()
    assert "all.zip › group-2_1/group-2.zip" in shown and "not a zip, or cut off" in reason and not others


def many_manifests(members: Files) -> bytes:
    return zip_bytes({f"{number}/{name}": b"{}" for number in range(300) for name in ("manifest.json", "kit.json")})


def many_zips(members: Files) -> bytes:
    return zip_bytes({f"{number}.zip": zip_bytes({"a": bytes(1000)}) for number in range(150)})


def large_zip(members: Files) -> bytes:
    return zip_bytes({"large.bin": bytes(80_000_000)}, zipfile.ZIP_STORED)


@pytest.mark.parametrize("make", [many_manifests, many_zips, large_zip])
def test_in_one_download_one_hostile_zip_costs_the_others_nothing(desk: Desk, tmp_path: Path, make) -> None:
    everything = {f"{group}_1/{group}.zip": zip_bytes(desk.members(group)) for group in ("group-1", "group-3")}
    evil = make(desk.members("group-2"))
    for path in desk.zips.values():
        path.unlink()
    write_zip(desk.inbox / "all.zip", {"a_group-2/evil.zip": evil, **everything})
    limited = replace(desk.workshop, limits=HandinLimits(unpacked_mb=50))
    found = read_class(limited, desk.build, tmp_path / "scratch", [desk.inbox])
    assert sorted(found.of_group) == ["group-1", "group-3"] and not found.incomplete
    assert found.refused and all("evil.zip" in shown for shown in found.refused)


def test_what_cannot_be_a_hand_in_is_named_and_not_passed_over(desk: Desk) -> None:
    desk.zips["group-2"].unlink()
    odd = {desk.inbox / f"group-2.{ending}" for ending in ("rar", "7z", "tar.gz", "zip.crdownload")}
    for path in odd:
        path.write_bytes(b"whatever it is")
    refused = desk.collect().refused
    assert set(refused) == {str(path) for path in odd}
    assert all("a hand-in is the zip in the kit's folder handin/" in reason for reason in refused.values())


def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "closed").mkdir()
    listed = os.scandir

    def refuse(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(os, "scandir", refuse)
    _, odd = find_parcels([tmp_path])
    assert odd == {str(tmp_path / "closed"): "it cannot be read: Permission denied"}


def test_of_many_hand_ins_of_a_group_the_newest_are_read(desk: Desk) -> None:
    for number in range(15):
        members = desk.members("group-2")
        put(members, "feedback.json", f'{{"number": {number}}}'.encode())
        edit_manifest(members, written=f"2026-01-01T00:{number:02d}:00+00:00")
        sign_again(members, desk.key("group-2"))
        write_zip(desk.inbox / f"again-{number}.zip", members)
    collected = desk.collect()
    (line,) = collected.incomplete
    assert "only the 12 newest of 16 hand-ins were read" in line and len(collected.rows) == 3


def drop(name: str) -> Callable[[Path, Files], object]:
    return lambda path, m: write_zip(path, {key: content for key, content in m.items() if key != name})


def swap(name: str, content: bytes) -> Callable[[Path, Files], object]:
    return lambda path, m: write_zip(path, {**m, name: content})


def encrypt(path: Path, members: Files) -> None:
    """Set the flag that says a password is needed, in both headers of every member."""
    write_zip(path, members, zipfile.ZIP_STORED)
    content = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        place = content.find(mark)
        while place >= 0:
            content[place + offset] |= 1
            place = content.find(mark, place + 4)
    path.write_bytes(content)


REFUSED: dict[str, tuple[Callable[[Path, Files], object], str]] = {
    "no zip at all": (lambda path, m: path.write_bytes(b"not a zip at all"), "not a zip, or cut off"),
    "empty file": (lambda path, m: path.write_bytes(b""), "not a zip, or cut off"),
    "cut off": (lambda path, m: path.write_bytes(path.read_bytes()[:-500]), "not a zip, or cut off"),
    "an empty zip": (lambda path, m: write_zip(path, {}), "it is no hand-in: it is empty"),
    "only clutter": (lambda path, m: write_zip(path, {"__MACOSX/._x": b"", ".DS_Store": b""}), "it is empty"),
    "photographs": (
        lambda path, m: write_zip(path, {"a/1.jpg": b"x"}),
        "holds no manifest.json beside kit.json, but a/1.jpg",
    ),
    "a kit without a hand-in": (
        lambda path, m: write_zip(path, {"group-2/kit.json": m["kit.json"]}),
        "a kit without a hand-in; lab handin writes one",
    ),
    "without its manifest": (drop("manifest.json"), "a kit without a hand-in"),
    "without its identity": (drop("kit.json"), "holds no manifest.json beside kit.json, but"),
    "without its database": (drop("mlflow.db"), "its file mlflow.db is missing"),
    "without a file of a run": (
        lambda path, m: drop(next(name for name in m if name.endswith("config.yaml")))(path, m),
        "config.yaml is missing",
    ),
    "a manifest that is a list": (swap("manifest.json", b"[]"), "its manifest.json cannot be read"),
    "a manifest that nests without end": (swap("manifest.json", b"[" * 100_000), "its manifest.json cannot be read"),
    "another database": (swap("mlflow.db", b"x"), "its file mlflow.db is damaged"),
    "encrypted": (encrypt, "it is encrypted; a hand-in is not"),
}


@dataclass
class Arrived:
    """What came out of collecting all of both tables at once, each from a group of its own."""

    zips: dict[str, Path]
    collected: Collected

    def group(self, name: str) -> str:
        return self.zips[name].stem


@pytest.fixture(scope="module")
def arrived(
    handins: dict[str, Path], build: Path, workshop: Workshop, tmp_path_factory: pytest.TempPathFactory
) -> Arrived:
    return find_once(tmp_path_factory, "arrived", lambda folder: send_all(folder, handins["group-2"], build, workshop))


def send_all(folder: Path, good: Path, build: Path, workshop: Workshop) -> Arrived:
    for name in ("vault", "data"):
        shutil.copytree(build / name, folder / name)
    for script in build.glob("mlflow-*.sql"):
        shutil.copyfile(script, folder / script.name)
    members, zips = read_zip(good), {}
    for number, name in enumerate([*ARRIVALS, *REFUSED]):
        group = f"sent-{number}"
        zips[name] = folder / "handins" / group / f"{group}.zip"
        zips[name].parent.mkdir(parents=True)
        mine = as_group(members, group, number, Vault(folder).handin_key(workshop.id, group))
        write_zip(zips[name], mine)
        send = ARRIVALS[name] if name in ARRIVALS else REFUSED[name][0]
        send(zips[name], mine)
    described = workshop_of(workshop, [path.stem for path in zips.values()])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(show, "write_figures", lambda results, folder: [])
        stay_here(patch)
        return Arrived(zips, collect_handins(described, [folder / "handins"], folder, no_progress))


@pytest.mark.parametrize("arrival", ARRIVALS)
def test_a_hand_in_is_read_however_it_arrives(arrived: Arrived, arrival: str) -> None:
    (row,) = [row for row in arrived.collected.rows if row.group == arrived.group(arrival)]
    assert row.rank and row.test_balanced_accuracy


def test_nothing_of_what_arrived_well_is_refused_or_incomplete(arrived: Arrived) -> None:
    assert set(arrived.collected.refused) == {str(arrived.zips[fault]) for fault in REFUSED}
    assert not arrived.collected.incomplete
    assert sorted(row.group for row in arrived.collected.rows) == sorted(arrived.group(name) for name in ARRIVALS)


@pytest.mark.parametrize("fault", REFUSED)
def test_what_is_no_hand_in_is_refused_in_a_sentence_and_the_others_go_on(arrived: Arrived, fault: str) -> None:
    said = arrived.collected.refused[str(arrived.zips[fault])]
    assert REFUSED[fault][1] in said and "Error" not in said and "hint: " in said
    assert arrived.group(fault) in arrived.collected.missing


def test_folders_that_are_hidden_or_linked_are_not_searched(tmp_path: Path) -> None:
    for name in (".trash/a.zip", "__MACOSX/._b.zip", "stick/._c.zip", "stick/d.zip"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "stick" / "again").symlink_to(tmp_path / "stick")
    parcels, odd = find_parcels([tmp_path])
    assert [parcel.path for parcel in parcels] == [tmp_path / "stick" / "d.zip"] and not odd


def test_a_link_in_an_unpacked_hand_in_is_not_followed(desk: Desk, tmp_path: Path) -> None:
    unpack(desk.zips["group-2"], desk.members("group-2"))
    folder = desk.zips["group-2"].with_suffix("")
    shutil.move(folder / "kit.json", tmp_path / "kit.json")
    (folder / "kit.json").symlink_to(tmp_path / "kit.json")
    assert "its file kit.json is missing" in desk.collect().refused[str(folder)]
