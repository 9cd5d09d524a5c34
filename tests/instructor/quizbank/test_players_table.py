"""The players' table: read however a spreadsheet saved it, never overwritten where it is not understood."""

import csv
import io
import unicodedata
from pathlib import Path

import pytest

from instructor.cli import app as cli
from instructor.quizbank.players_table import read_players, update_players
from lab_code.errors import LabError

GROUPS = ["group-1", "group-2", "group-3"]


def save(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def table_of(separator: str, *lines: tuple[str, ...]) -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=separator, lineterminator="\r\n").writerows(lines)
    return text.getvalue()


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be-bom", "cp1252"])
def test_a_table_saved_by_a_spreadsheet_is_read(tmp_path: Path, separator: str, encoding: str) -> None:
    lines = [("nickname", "group"), ("Jürgen", "group-3"), ("a,b;c\td", "2"), ('say "hi"', "-"), ("late", ""), ("", "")]
    text = table_of(separator, *lines)
    if encoding == "utf-16-be-bom":
        text, encoding = "\ufeff" + text, "utf-16-be"
    found = read_players(save(tmp_path / "t.csv", text, encoding), GROUPS)
    assert found.aliases == {"Jürgen": "group-3", "a,b;c d": "group-2", 'say "hi"': "-"}
    before = found.path.read_bytes()
    update_players(found, {"Jürgen": "group-3", "late": ""})
    assert found.path.read_bytes() == before  # nobody is new: as the spreadsheet left it
    update_players(found, {"Jürgen": "group-3", "new": "group-1"})
    again = read_players(found.path, GROUPS)
    assert again.aliases == {**found.aliases, "new": "group-1"} and again.separator == separator


@pytest.mark.parametrize(
    "text",
    [
        "nickname,group\r\nowls,2\r\n",
        "nickname,group\rowls,2\r",
        "Nickname ; Group\nowls;2\n",
        "group,nickname\n2,owls\n",
        "sep=;\r\nnickname;group\r\nowls;2\r\n",
        "nickname,group,remark\nowls,2,said so\n",
        "our table,\nnickname,group\nowls,2\n",
        '"nickname","group"\n"owls","2"\n',
        "nickname,group\n owls , group 2 \n",
        "nickname;group;;\nowls;2;;\n",
        "nickname,group\nowls,2.0\n",
    ],
)
def test_a_table_in_another_form_is_read(tmp_path: Path, text: str) -> None:
    assert read_players(save(tmp_path / "t.csv", text), GROUPS).aliases == {"owls": "group-2"}


REPORT = "Rank,Player,Total Score (points)\n1,owls,900\n2,G3,700\n"
NOT_UNDERSTOOD = [
    (b"owls,2\nbears,3\n", "it has no columns nickname and group"),
    (b"nickname,group;\nowls,;2\n", "it has no columns nickname and group"),
    (b"name,team\nowls,2\n", "it begins with 'name,team'"),
    (b"\n\n", "it has no columns nickname and group"),
    (b'nickname,group\n"owls,2\nbears,3\n', "a quotation mark in line 2"),
    (b'nickname;group\n"owls"x;2\n', "a quotation mark in line 2"),
    (b"nickname,group\nowls, the,2\n", "cell C2: more cells than the columns nickname, group"),
    (b"nickname,group\nowls,group-9\n", "cell B2: there is no group 'group-9'"),
    (b"nickname,group\n,group-2\n", "cell B2: the group 'group-2' has no nickname beside it"),
    (b"nickname,group\nowls,2\nowls,3\n", "cell B3: 'owls' is in group-2 and in group-3"),
    (b"PK\x03\x04\0\0\0\0", "is no text"),
    (b"n\0i\0c\0k\0", "is no text"),
    (b"\xff\xfen\0i", "is no text|not understood"),
    (b"{'owls': 2}", "it has no columns nickname and group"),
]


@pytest.mark.parametrize(("content", "message"), NOT_UNDERSTOOD)
def test_a_table_that_is_not_understood_is_refused_and_stays_as_it_is(
    tmp_path: Path, content: bytes, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "kahoot-players.csv"
    table.write_bytes(content)
    with pytest.raises(LabError, match=message) as caught:
        read_players(table, [f"group-{n}" for n in range(1, 7)])
    assert caught.value.hint and str(table) in caught.value.message
    report = save(tmp_path / "r.csv", REPORT)
    for more in ([], ["--count"]):
        assert cli.main(["kahoot", "results", str(report), "--out", str(tmp_path), *more]) == 1
    assert table.read_bytes() == content and "kahoot-players.csv" in capsys.readouterr().err
    assert not (tmp_path / "kahoot-ranking.csv").exists()


def test_a_folder_in_place_of_the_table_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="cannot be read"):
        read_players(tmp_path, GROUPS)


def test_an_empty_file_is_no_table_yet(tmp_path: Path) -> None:
    found = read_players(save(tmp_path / "t.csv", ""), GROUPS)
    update_players(found, {"owls": ""})
    assert read_players(found.path, GROUPS).nicknames == {"owls"}


@pytest.mark.parametrize("kept", ["NFC", "NFD"])
@pytest.mark.parametrize("given", ["NFC", "NFD"])
def test_a_player_is_one_however_its_letters_are_composed(tmp_path: Path, kept: str, given: str) -> None:
    saved, reported = (unicodedata.normalize(form, "J\u00fcrgen \u00e9") for form in (kept, given))
    table = save(tmp_path / "kahoot-players.csv", f"nickname,group\n{saved},2\n")
    report = save(tmp_path / "r.csv", f"Rank,Player,Total Score (points)\n1,{reported},900\n2,G3,700\n")
    assert cli.main(["kahoot", "results", str(report), "--out", str(tmp_path)]) == 0
    lines = read_players(table, [f"group-{n}" for n in range(1, 7)])
    assert lines.aliases["J\u00fcrgen \u00e9"] == "group-2" and len(lines.nicknames) == 2


def test_what_was_entered_stays_with_its_other_columns(tmp_path: Path) -> None:
    save(tmp_path / "t.csv", "My class\r\nremark;group;nickname\r\nask again;2;owls\r\n;;late\r\n")
    update_players(read_players(tmp_path / "t.csv", GROUPS), {"owls": "group-2", "late": "", "new": "group-1", "x": ""})
    text = (tmp_path / "t.csv").read_text(encoding="utf-8-sig")
    assert text.splitlines() == [
        "My class",
        "remark;group;nickname",
        "ask again;2;owls",
        ";;late",
        ";group-1;new",
        ";;x",
    ]


ODD = [
    'a,"b"', "=1+1", "x;=1+1", "x; \"=1", "＝1+1", "+1", "@SUM(A1)", "-2+3", "'=1", "''=1", "'tis", "-", "-5", "ناس",
    "🦉", "👩‍🔬", "a|=b", "x,-y", ";=1", "“=1”", "007", "\u200b=1",
]  # fmt: skip


def test_any_nickname_comes_back_and_none_is_a_formula(tmp_path: Path) -> None:
    table = read_players(tmp_path / "t.csv", GROUPS)
    update_players(table, dict.fromkeys(ODD, "group-2"))
    back = read_players(tmp_path / "t.csv", GROUPS)
    assert back.aliases == dict.fromkeys(ODD, "group-2")
    update_players(back, {"another": ""})  # written again, the marks do not pile up
    assert read_players(tmp_path / "t.csv", GROUPS).aliases == back.aliases
    data = (tmp_path / "t.csv").read_bytes()
    assert data.startswith(b"\xef\xbb\xbf")
    for separator in ",;\t":
        for row in csv.reader(io.StringIO(data.decode("utf-8-sig")), delimiter=separator):
            for cell in row:
                assert (
                    cell in ("-", "-5")
                    or cell.lstrip(" \"'\u200b")[:1] not in ("=", "+", "@", "＝")
                    or cell.startswith("'")
                )
