"""The list of laptops: what it means, and every mistake in it with file and line."""

from pathlib import Path

import pytest

from instructor.deliver.inventory import EXAMPLE, read_inventory
from instructor.deliver.medium import find_too_long
from instructor.workshop import read_workshop
from lab_code.errors import LabError
from tests.instructor.deliver.conftest import Cargo, bigger

GROUPS = ["group-1", "group-2"]
GOOD = "defaults: {user: lab, path: 'kits/{group}'}\nlaptops:\n- {name: one, host: 192.0.2.1, group: group-1}\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "inventory.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_example_is_for_our_workshop_and_names_nobodys_laptops() -> None:
    groups = read_workshop().groups
    inventory = read_inventory(EXAMPLE, groups)
    assert [one.group for one in inventory.laptops] == [*groups, None] and not inventory.notes
    assert all(one.host.startswith("192.0.2.") for one in inventory.laptops), "RFC 5737"
    assert inventory.terms.limit_s == 600 and inventory.laptops[0].path == "lab-kit/group-1"


def test_a_laptop_has_what_it_says_and_else_the_defaults(tmp_path: Path) -> None:
    text = GOOD + "- {host: fe80::1, group: group-2, port: 2222, user: other, path: ~/mine, platform: macos}\n"
    one, two = read_inventory(write(tmp_path, text), GROUPS).laptops
    assert (one.name, one.address, one.user, one.path, one.platform) == (
        "one", "192.0.2.1", "lab", "kits/group-1", "linux",
    )  # fmt: skip
    assert (two.name, two.address, two.user, two.path) == ("fe80::1", "[fe80::1]:2222", "other", "mine")


def test_a_spare_laptop_takes_the_path_of_the_group_that_comes_to_it(tmp_path: Path) -> None:
    text = GOOD + "- {host: 192.0.2.9}\n"
    inventory = read_inventory(write(tmp_path, text), GROUPS)
    assert inventory.find("192.0.2.9").at("group-2").path == "kits/group-2"
    assert "names no laptop for group-2" in inventory.notes[0]
    with pytest.raises(LabError, match="there is no laptop 'laptop-9'"):
        inventory.find("laptop-9")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("- {host: 192.0.2.1, group: group-2}", "host '192.0.2.1 port 22' is there twice, first in line 3"),
        ("- {host: 192.0.2.2, group: group-1}", "group 'group-1' is there twice, first in line 3"),
        ("- {host: 192.0.2.2, name: One}", "name 'One' is there twice"),
        ("- {hots: 192.0.2.2, group: group-2}", "there is no key 'hots' (fix: did you mean host?"),
        ("- {host: 192.0.2.2, host: 192.0.2.3}", "the key 'host' is there twice"),
        ("- {name: two, group: group-2}", "host is missing"),
        ("- {host: 192.0.2.2, group: group-9}", "group is 'group-9' (fix: expected one of group-1, group-2"),
        ("- {host: 'a b'}", "host is 'a b'"),
        ("- {host: '-oProxyCommand=x'}", "host is '-oProxyCommand=x'"),
        ("- {host: 192.0.2.2, user: 'a b'}", "user is 'a b'"),
        ("- {host: 192.0.2.2, user: -l}", "user is '-l'"),
        ("- {host: 192.0.2.2, port: 70000}", "port is '70000'"),
        ("- {host: 192.0.2.2, port: '22'}", "port is '22'"),
        ("- {host: 192.0.2.2, platform: beos}", "platform is 'beos' (fix: expected linux, macos or windows)"),
        ("- {host: 192.0.2.2, path: ../kits}", "path is '../kits'"),
        ("- {host: 192.0.2.2, path: /}", "path is '/'"),
        ("- {host: 192.0.2.2, path: '~'}", "path is '~'"),
        ("- {host: 192.0.2.2, path: 'a$(b)'}", "path is 'a$(b)'"),
        ("- {host: 192.0.2.2, key: nowhere}", "key is 'nowhere' (fix: expected the file of a private key)"),
        ("- {host: 192.0.2.2, platform: windows, path: 'C:/lab kit'}", "path 'C:/lab kit' has blanks or umlauts"),
        ("- {host: 192.0.2.2, platform: windows, path: 'C:/prüfung'}", "path 'C:/prüfung' has blanks or umlauts"),
        (
            "- {host: 192.0.2.2, platform: windows, path: 'C:/kits/aux'}",
            "path 'C:/kits/aux': 'aux' is the name of a device",
        ),
        ("- nothing", "a laptop is 'nothing'"),
        ("at_once: 0", "at_once is 0"),
        ("limit_s: soon", "limit_s is 'soon'"),
        ("laptop: []", "there is no key 'laptop' (fix: did you mean laptops?"),
    ],
)
def test_every_mistake_is_said_with_file_line_and_fix_beside_the_others(tmp_path: Path, line: str, said: str) -> None:
    path = write(tmp_path, f"{GOOD}{line}\n- {{host: 192.0.2.77, prot: 1}}\n" if line[0] == "-" else f"{line}\n{GOOD}")
    number = 4 if line[0] == "-" else 1
    with pytest.raises(LabError) as error:
        read_inventory(path, GROUPS)
    shown = f"{error.value.message} (fix: {error.value.hint})"
    assert str(path) in shown and f"line {number}: {said}" in shown and (number == 1 or "'prot'" in shown)


@pytest.mark.parametrize(
    "text", ["", "laptops:\n", "laptops: []\n", "- a\n", "laptops:\n\t- a\n", "laptops: [\n", "defaults: 1\n"]
)
def test_a_list_without_laptops_is_told_so(tmp_path: Path, text: str) -> None:
    with pytest.raises(LabError) as error:
        read_inventory(write(tmp_path, text), GROUPS)
    assert "inventory.yaml" in error.value.message and error.value.hint


def test_a_missing_list_names_the_example(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="is missing") as error:
        read_inventory(tmp_path / "inventory.yaml", GROUPS)
    assert "inventory.example.yaml" in (error.value.hint or "")


@pytest.mark.parametrize(("root", "fits"), [("C:/lab-kit", True), ("C:/" + "long/" * 45, False)])
def test_a_path_too_long_for_windows_is_said(cargo: Cargo, root: str, fits: bool) -> None:
    assert bool(find_too_long(root, bigger(cargo, "lab_code/a-rather-long-name.py", 1))) != fits
