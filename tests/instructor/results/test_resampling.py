"""Which models can be told apart, and which cannot."""

import numpy as np
import pytest

from instructor.results.resampling import cluster, describe_share, rank_models, resample_balanced_accuracy
from lab_code.metrics import evaluate
from tests.instructor.results.made_up import LABELS, LESIONS, make_predictions

DRAWS = 400


def rank(predicted: dict[str, np.ndarray], lesions: np.ndarray = LESIONS, certainty: float = 0.95):
    return rank_models(LABELS, lesions, predicted, certainty, DRAWS)


def with_faults(count: int, seed: int) -> np.ndarray:
    """Right but for `count` photographs chosen by chance."""
    predicted = LABELS.copy()
    wrong = np.random.default_rng(seed).choice(len(LABELS), count, replace=False)
    predicted[wrong] = (predicted[wrong] + 1) % 7
    return predicted


def test_a_better_model_ranks_first_and_the_chance_is_said() -> None:
    found = rank({"b": np.array(make_predictions(10)), "a": np.array(make_predictions(25))})
    assert (found.groups, found.ranks) == (["a", "b"], [1, 2])
    assert found.chances() == ["a before b in over 99 % of resamplings"]
    assert found.scores == pytest.approx([25 / 30, 10 / 30])


@pytest.mark.parametrize("difference", [0, 3])
def test_models_that_chance_may_have_ordered_share_a_rank(difference: int) -> None:
    found = rank({"a": with_faults(60, 1), "b": with_faults(60 + difference, 2)})
    assert found.ranks == [1, 1] and found.sharing("a") == ["b"]
    assert found.chances()[0].endswith("cannot be told apart")


def test_the_same_predictions_are_before_each_other_half_of_the_time() -> None:
    found = rank({"a": with_faults(60, 1), "b": with_faults(60, 1)})
    assert found.before[0, 1] == found.before[1, 0] == 0.5 and found.ranks == [1, 1]
    assert found.chances() == ["a before b in 50 % of resamplings: cannot be told apart"]


def test_pairs_are_compared_on_the_same_lesions() -> None:
    """The intervals of both scores overlap widely, but one model is right wherever the other is, and more often."""
    weaker = with_faults(100, 3)
    better, found = weaker.copy(), np.flatnonzero(weaker != LABELS)[:12]
    better[found] = LABELS[found]
    _, drawn = resample_balanced_accuracy(LABELS, LESIONS, np.stack([better, weaker]), DRAWS)
    low, high = np.percentile(drawn, (2.5, 97.5), axis=0)
    assert low[0] < high[1]
    assert rank({"better": better, "weaker": weaker}).ranks == [1, 2]


def test_many_photographs_of_one_lesion_are_one_piece_of_evidence() -> None:
    better, weaker = LABELS.copy(), LABELS.copy()
    weaker[:40] = (weaker[:40] + 1) % 7
    assert rank({"a": better, "b": weaker}).ranks == [1, 2]
    one_lesion = np.where(LESIONS < 40, 0, LESIONS)
    assert rank({"a": better, "b": weaker}, one_lesion).ranks == [1, 1]


@pytest.mark.parametrize(
    ("sure", "ranks"),
    [
        ([], [1]),
        (["12", "13", "23"], [1, 2, 3]),
        (["13", "23"], [1, 1, 3]),
        (["12", "13"], [1, 2, 2]),
        (["13"], [1, 1, 1]),  # a chain: neither neighbour can be told apart
    ],
)
def test_a_line_is_drawn_where_all_above_surely_differ_from_all_below(sure: list[str], ranks: list[int]) -> None:
    matrix = np.zeros((len(ranks), len(ranks)), bool)
    for one, two in ((int(pair[0]) - 1, int(pair[1]) - 1) for pair in sure):
        matrix[one, two] = matrix[two, one] = True
    assert cluster(matrix) == ranks


def test_more_certainty_asks_for_more() -> None:
    pair = {"a": with_faults(60, 1), "b": with_faults(78, 5)}
    assert rank(pair, certainty=0.6).ranks == [1, 2] and rank(pair, certainty=0.999).ranks == [1, 1]


def test_scores_are_those_of_the_metrics_also_where_a_diagnosis_has_no_photograph() -> None:
    some = LABELS != 3
    predicted = with_faults(50, 9)
    scores, drawn = resample_balanced_accuracy(LABELS[some], LESIONS[some], predicted[some][None], 20)
    wanted = evaluate(LABELS[some], np.eye(7)[predicted[some]], list("abcdefg"))["balanced_accuracy"]
    assert scores[0] == pytest.approx(wanted) and np.isfinite(drawn).all()
    again = resample_balanced_accuracy(LABELS[some], LESIONS[some], predicted[some][None], 20)[1]
    assert (drawn == again).all()


@pytest.mark.parametrize(
    ("share", "text"), [(1.0, "over 99 %"), (0.97, "97 %"), (0.5, "50 %"), (0.0, "under 1 %"), (0.994, "99 %")]
)
def test_shares_are_never_certain(share: float, text: str) -> None:
    assert describe_share(share) == text


def test_nobody_is_ranked_without_a_model() -> None:
    found = rank({})
    assert found.ranks == [] and found.chances() == [] and found.rank_of("group-1") is None
