"""The ceremony, figures, the report: names and sentences in them come from laptops that nobody here controls."""

import io
import json
import re
from pathlib import Path

import pytest
from pypdf import PdfReader

from instructor.quizbank.variants import GroupQuestion
from instructor.results.ceremony import CEREMONY, list_appearances, write_ceremony
from instructor.results.figures import write_figures
from instructor.results.glyphs import name_missing
from instructor.results.honours import give_honours
from instructor.results.mistakes import count_mistakes
from instructor.results.opinions import Opinions
from instructor.results.report import make_report, report_to_json, write_report
from instructor.results.results import Results
from instructor.results.show import write_results
from lab_code.workshop.mark import draw_mark, mark_of
from lab_code.workshop.quiz import Question
from tests.conftest import no_progress
from tests.instructor.results.made_up import make_class, make_run, make_stage

HOSTILE = "</script><script>alert(1)</script> #panic() $\\frac{$ {{ 7*7 }} \u202e😀 好"
QUESTIONS = {"changed": f"the loss {HOSTILE}", "effect": "+0.1", "doubt": "=1+1 seeds"}


@pytest.fixture(scope="module")
def hostile() -> Results:
    """Three groups; the first has named things so that a page, a document or a figure would obey."""
    runs = [
        make_run("group-1", "baseline", 1, 0.4),
        make_run("group-1", HOSTILE, 2, 0.6, data__augment=HOSTILE[:40], loss__name="focal"),
        make_run("group-2", "baseline", 1, 0.4),
        make_run("group-2", "wide", 2, 0.3, model__width=32),
        make_run("group-3", "only", 1, 0.2),
    ]
    opinions = Opinions(
        reviews=[{"reviewer": "group-2", "reviewed": "group-1", **QUESTIONS}],
        sentences=[{"group": "group-1", "sentence": f"we found {HOSTILE}"}],
        bets=[{"group": "group-1", "run_id": "group-1-2", "run": HOSTILE, "bet": "0.5", "why": HOSTILE}],
    )
    feedback = [{"clear": 4, "learned": 5, "pace": 3, "good": f"good {HOSTILE}", "better": "more time"}]
    stages = [make_stage(name, wrong=1, lists=["1,2"]) for name in ("1-configuration", "2-imbalance", "3-your-own")]
    group = {"run_id": "group-1-2", "best_run": HOSTILE, "feedback": feedback, "stages": stages}
    results = make_class(None, runs, opinions, group_1=group)
    results.evidence.groups[0].tested["group-1-2"] = {"balanced_accuracy": 0.9}
    return results


def test_the_ceremony_goes_from_the_last_place_to_the_first() -> None:
    appearances = list_appearances(make_class())
    assert [one.place for one in appearances] == ["Place 3", "Place 2", "The winner"]
    assert [one.curve is not None for one in appearances] == [False, False, True]
    assert appearances[0].mark.name == "green triangle"
    assert appearances[0].chance == "group-2 before group-3 in over 99 % of resamplings"


def test_two_groups_may_win(tmp_path: Path) -> None:
    results = make_class({"group-1": 20, "group-2": 20, "group-3": 5})
    assert [one.place for one in list_appearances(results)][1:] == [
        "First place, shared with group-1", "First place, shared with group-2",
    ]  # fmt: skip
    write_ceremony(results, tmp_path)


@pytest.mark.parametrize("scores", [{}, {"group-2": 0}])
def test_a_ceremony_without_models_or_groups_is_still_one(scores: dict[str, int], tmp_path: Path) -> None:
    results = make_class(scores, runs=[])
    write_results(results, tmp_path, no_progress)
    page = (tmp_path / CEREMONY).read_text(encoding="utf-8")
    assert "Nothing has arrived yet from" in page and ("Nobody has handed in yet" in page) == (not scores)
    write_report(tmp_path / "report.pdf", results, make_report(results, []))


def test_every_group_is_honoured_and_no_honour_is_given_twice() -> None:
    honours = give_honours(make_class())
    assert set(honours) == {"group-1", "group-2", "group-3"} and all(one.reason for one in honours.values())
    titles = [one.title for one in honours.values() if one.title != "Everything came home"]
    assert len(titles) == len(set(titles))


def test_pages_load_nothing_and_obey_nobody(hostile: Results, tmp_path: Path) -> None:
    write_results(hostile, tmp_path, no_progress, figures=False)
    for name in (CEREMONY, "leaderboard.html"):
        page = (tmp_path / name).read_text(encoding="utf-8")
        assert "alert(1)" not in re.sub(r"&lt;script&gt;alert\(1\)", "", page)
        assert not re.search(r"""(?:src|href)=|url\(|@import""", page)
    assert "default-src &#39;none&#39;" in page or "default-src 'none'" in (tmp_path / CEREMONY).read_text("utf-8")


def test_every_group_of_the_leaderboard_carries_the_mark_of_its_sheet(tmp_path: Path) -> None:
    results = make_class()
    write_results(results, tmp_path, no_progress, figures=False)
    page = (tmp_path / "leaderboard.html").read_text(encoding="utf-8")
    for standing in results.standings.groups:
        cell = f'<td class="group">{draw_mark(mark_of(standing.number))} {standing.group}</td>'
        assert page.count(cell) == 1


def test_figures_draw_texts_as_they_are(hostile: Results, tmp_path: Path) -> None:
    pictures = write_figures(hostile, tmp_path)
    assert [path.name for path in pictures] == ["runs.png", "tried.png", "curves.png", "winner-group-1.png"]
    for path in pictures:
        assert path.read_bytes().startswith(b"\x89PNG") and path.with_suffix(".pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain → ü", "plain → ü"),
        ("😀", "[grinning face]"),
        ("a\u202eb\x07", "ab"),
        ("好", "[cjk unified ideograph-597d]"),
    ],
)
def test_signs_that_the_fonts_lack_are_named(text: str, shown: str) -> None:
    assert name_missing(text) == shown


@pytest.fixture(scope="module")
def chapters(hostile: Results, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The text of the report: of its front, and of every group's page or pages."""
    path = tmp_path_factory.mktemp("report") / "report.pdf"
    write_report(path, hostile, make_report(hostile, []))
    chapters, name = {"front": ""}, "front"
    for page in PdfReader(io.BytesIO(path.read_bytes())).pages:
        text = " ".join(page.extract_text().split())
        name = text[:7] if re.match(r"group-\d", text) else name
        chapters[name] = f"{chapters.get(name, '')} {text}"
    return chapters


def test_the_report_has_a_page_for_every_group_to_hand_back(chapters: dict[str, str]) -> None:
    assert set(chapters) == {"front", "group-1", "group-2", "group-3"}
    assert "#panic() $\\frac{$ {{ 7*7 }} [grinning face]" in chapters["group-1"]
    assert "What another group says of your runs" in chapters["group-1"] and "=1+1 seeds" in chapters["group-1"]
    assert "No review has arrived" in chapters["group-2"] and "seeds" not in chapters["group-3"]
    assert "rank 1 of 3 models" in chapters["group-1"] and "a baseline first:" in chapters["group-3"]


def test_feedback_and_reviews_stand_in_the_report_without_a_name(chapters: dict[str, str]) -> None:
    front = chapters["front"]
    feedback = front[front.index("Feedback") :]
    assert "good </script><script>alert(1)" in feedback and "more time" in feedback and "=1+1 seeds" in feedback
    assert not re.search(r"group-\d", feedback)


def test_the_report_for_programs_is_json_without_nan(hostile: Results) -> None:
    document = json.loads(report_to_json(make_report(hostile, [])))
    assert [group["place"] for group in document["groups"]] == [1, 2, 3]
    (winner,) = [group for group in document["groups"] if group["place"] == 1]
    assert winner["runs"][1]["run"].startswith("</script>") and winner["reviews"][0]["effect"] == "+0.1"
    assert document["stages"][0]["wrong"]["group-1"] == 1
    assert sum(winner["total"] for winner in document["groups"]) > 0


def make_question(name: str, answer: str) -> GroupQuestion:
    shown = Question(name, "choice", f"What is {name}?", ("a", "b"), "x.py")
    return GroupQuestion(shown, answer, source=None)  # type: ignore[arg-type]


def test_questions_that_most_groups_got_wrong_come_first() -> None:
    first, second = make_question("one", "1"), make_question("two", "2")
    variants = {group: {"1-configuration": [first, second]} for group in ("group-1", "group-2")}
    stages = {
        "group_1": [make_stage("1-configuration", lists=["1,1", "1,3"], hints=[["one", 1]])],
        "group_2": [make_stage("1-configuration", lists=["2,1", "", "1", "9,9,9"])],  # no lists of two are none
    }
    results = make_class(**{group: {"stages": stage} for group, stage in stages.items()})
    two, one = count_mistakes(results.evidence, variants)
    assert (two.id, two.asked, two.groups, two.lists, two.hints) == ("two", 2, 2, 3, 0)
    assert (one.id, one.asked, one.groups, one.lists, one.hints) == ("one", 2, 1, 1, 1)
