"""Training as a notebook shows it."""

from xml.etree import ElementTree

import numpy as np
import pytest

from lab_code.experiment import run_experiment
from lab_code.notebook.live_table import LiveTable
from lab_code.plots.live_run import EpochLine, RunView, draw_curve, draw_run
from lab_code.training.trainer import EpochResult
from lab_code.workshop.by_hand import in_notebook
from tests.lab_code.conftest import compose_quick


def result(epoch: int, score: float) -> EpochResult:
    return EpochResult(epoch, 1.5, 1e-3, 2.0, {"accuracy": 0.7, "balanced_accuracy": score}, np.zeros((1, 7)))


class Pages(list):
    def __call__(self, page: str, text: str) -> None:
        self.append((page, text))


def test_a_test_is_no_notebook() -> None:
    assert not in_notebook()


def test_the_table_grows_and_marks_the_best_epoch() -> None:
    pages = Pages()
    with LiveTable("base<line>", pages) as table:
        table.start(10)
        for epoch, score in ((1, 0.2), (2, 0.5), (3, 0.4)):
            table.show_epoch(result(epoch, score))
        page = pages[-1][0]
        assert page.count("<tr>") == 4 and page.count("★ best<") == 1
        assert page.index("<td>0.500") < page.index("★ best<") < page.index("<td>0.400")
        assert "base&lt;line&gt;" in page and "<line>" not in page
    assert "finished after 3 epochs" in pages[-1][0] and "<progress" not in pages[-1][0]
    assert "epoch   2  loss 1.500" in pages[-1][1]


def test_the_bar_says_how_long_it_takes_and_is_not_drawn_at_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("lab_code.notebook.live_table.time.monotonic", lambda: now)
    pages = Pages()
    with LiveTable("x", pages) as table:
        advance = table.start(1000, [result(1, 0.3)], epochs=2)
        for _ in range(100):
            now += 0.1
            advance()
        assert 15 <= len(pages) <= 25
        assert "of 1000 · 0:40 left</div>" in pages[-1][0]
        assert 'max="1000" aria-label="x">' in pages[-1][0]


@pytest.mark.parametrize(("error", "word"), [(KeyboardInterrupt, "stopped"), (ValueError, "failed")])
def test_a_run_that_ends_early_says_so(error: type[BaseException], word: str) -> None:
    pages = Pages()
    with pytest.raises(error), LiveTable("x", pages) as table:
        table.start(10)
        table.show_epoch(result(1, 0.3))
        raise error
    assert f"{word} after 1 epoch<" in pages[-1][0]


def test_a_run_that_goes_on_shows_the_epochs_before(store) -> None:
    pages = Pages()
    with LiveTable("x", pages) as table:
        table.start(10, [result(1, 0.6), result(2, 0.3)], epochs=5)
        table.show_epoch(result(3, 0.4))
        assert pages[-1][0].count("<tr>") == 4
        assert pages[-1][0].index("<td>0.600") < pages[-1][0].index("★ best<") < pages[-1][0].index("<td>0.300")
    assert "finished after 3 epochs" in pages[-1][0]


def test_a_real_run_is_seen_from_the_photographs_to_the_end(store) -> None:
    pages = Pages()
    run_id, _ = run_experiment(compose_quick("name=seen"), store, reporter=LiveTable("seen", pages))
    texts = [text for _, text in pages]
    assert "84 photographs of 42 lesions" in texts[-1] and "seen: finished after 2 epochs" in texts[-1]
    assert any("training: step" in text and "of 10 " in text for text in texts)
    trained = [page for page, _ in pages if "training: step" in page]
    assert all(f'data-lab-run="{run_id}"' in page for page in trained) and "<script>" not in pages[-1][0]
    LiveTable("seen", pages).show_again(store, run_id)  # the same cell, run once more
    assert pages[-1][0].count("<tr>") == 3 and pages[-1][1].splitlines()[1:] == texts[-1].splitlines()[2:]

    run_experiment(compose_quick("name=other", "seed=1"), store, reporter=LiveTable("other", pages))
    assert "beside seen" in pages[-1][0] and "; for comparison seen 0." in pages[-1][0]


def test_the_curve_says_in_words_and_signs_what_it_shows() -> None:
    lines = [EpochLine(epoch, 1.0, 0.7, score, 2.0) for epoch, score in ((1, 0.2), (2, 0.6))]
    alone = ElementTree.fromstring(draw_curve(RunView("mine<", "training", epochs=lines, length=4)))
    both = ElementTree.fromstring(draw_curve(RunView("mine<", "training", 0, 0, (), lines, 4, "ghost", (0.3, 0.25))))
    assert alone.get("role") == both.get("role") == "img"
    said = "Balanced accuracy of every epoch: mine< 0.200, 0.600; "
    assert alone.get("aria-label") == f"{said}guessing reaches 0.143"
    assert both.get("aria-label") == f"{said}for comparison ghost 0.300, 0.250; guessing reaches 0.143"
    ghost, mine = both.findall("polyline")
    assert ghost.get("stroke-dasharray") and not mine.get("stroke-dasharray")
    assert ghost.get("stroke") != mine.get("stroke")
    assert len(both.findall("circle")) == 3 and len(both.findall("rect")) == 3  # points, and one in the legend
    assert len(alone.findall("polyline")) == 1 and not alone.findall("rect")
    heights = [float(circle.get("cy", "")) for circle in both.findall("circle")[:2]]
    assert heights[0] > heights[1]  # a higher score stands higher


def test_of_a_long_run_the_newest_epochs_and_the_best_are_listed() -> None:
    lines = [EpochLine(epoch, 1.0, 0.7, 0.6 if epoch == 5 else 0.2, 2.0) for epoch in range(1, 401)]
    page = draw_run(RunView("mine", "", epochs=lines, length=400))
    assert page.count("<tr>") == 1 + 1 + 30 and "<td>5</td>" in page and "<td>371</td>" in page
    assert page.count("<circle") == 2 and len(page) < 12_000


@pytest.mark.parametrize("scores", [(), (0.3,), (0.3,) * 12])
def test_a_ghost_of_another_length_is_drawn_as_far_as_it_goes(scores: tuple[float, ...]) -> None:
    lines = [EpochLine(epoch, float("nan"), float("nan"), 0.2, float("nan")) for epoch in (1, 2, 3)]
    page = draw_run(RunView("mine", "", epochs=lines, length=3, ghost="ghost", ghost_scores=scores))
    assert page.count("<td>–</td>") == 3 - min(3, len(scores)) and page.count("<td>-0.100</td>") == min(3, len(scores))
