"""The synthetic photographs: the same for the same seed, labelled as planned, and alike where they show one lesion."""

import pickle

import numpy as np
import pytest

from instructor.dataset.synthetic import (
    DIAGNOSES,
    LesionPlan,
    block_count,
    plan_lesions,
    render_block,
    render_lesions,
)


def render_all(plan: LesionPlan, size: int = 32, seed: int = 1, difficulty: float = 0.5):
    """Every photograph of the plan: lesions (N,) and photographs (N, size, size, 3)."""
    blocks = list(render_lesions(plan, size, seed, difficulty))
    return tuple(np.concatenate(arrays) for arrays in zip(*blocks, strict=True))


def repeat_diagnosis(dx: str, lesions: int, photographs: int) -> LesionPlan:
    return LesionPlan(np.full(lesions, DIAGNOSES.index(dx)), np.full(lesions, photographs))


@pytest.fixture(scope="module")
def uniform_plan() -> LesionPlan:
    return plan_lesions(700, seed=1, imbalance=0)  # two blocks


@pytest.fixture(scope="module")
def rendered(uniform_plan):
    return render_all(uniform_plan)


# --- the plan ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("imbalance", "lesions", "images"),
    [
        (1.0, [24, 32, 72, 6, 60, 546, 9], [33, 51, 110, 11, 111, 670, 14]),
        (0.5, [58, 66, 96, 32, 85, 318, 39], [85, 107, 157, 51, 158, 386, 56]),
        (0.0, [97, 87, 95, 89, 80, 112, 102], [143, 143, 143, 143, 143, 142, 143]),
    ],
)
def test_plan_has_known_counts(imbalance, lesions, images):
    plan = plan_lesions(1000, seed=1, imbalance=imbalance)
    assert np.bincount(plan.dx).tolist() == lesions
    assert np.bincount(plan.dx, weights=plan.photographs).tolist() == images


def test_plan_has_known_first_lesions():
    plan = plan_lesions(1000, seed=1)
    assert plan.dx[:8].tolist() == [5, 5, 5, 5, 2, 2, 5, 5]
    assert plan.photographs[:8].tolist() == [1, 1, 1, 1, 3, 2, 1, 1]


@pytest.mark.parametrize("imbalance", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("images", [*range(7, 21), 333])
def test_small_plans_have_every_diagnosis_and_the_wanted_total(images, imbalance):
    plan = plan_lesions(images, imbalance=imbalance)
    assert set(plan.dx) == set(range(len(DIAGNOSES)))
    assert plan.photographs.sum() == images
    assert plan.photographs.min() >= 1


def test_plan_depends_on_the_seed():
    first, again, other = plan_lesions(200, seed=0), plan_lesions(200, seed=0), plan_lesions(200, seed=1)
    assert np.array_equal(first.dx, again.dx) and np.array_equal(first.photographs, again.photographs)
    assert not np.array_equal(first.dx[:50], other.dx[:50])


def test_plan_is_int64():
    plan = plan_lesions(20)
    assert plan.dx.dtype == plan.photographs.dtype == np.int64


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"images": 6}, "images is 6, but must be at least 7"),
        ({"images": -1}, "images is -1"),
        ({"images": 100, "imbalance": -0.1}, "imbalance is -0.1, but must be from 0"),
        ({"images": 100, "imbalance": 1.5}, "imbalance is 1.5"),
        ({"images": 100, "imbalance": float("nan")}, "imbalance is nan"),
    ],
)
def test_plan_rejects_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        plan_lesions(**arguments)


# --- the photographs --------------------------------------------------------------------------------------------------


def test_same_seed_gives_the_same_bytes(uniform_plan, rendered):
    lesion, photographs = render_all(uniform_plan)
    assert np.array_equal(lesion, rendered[0])
    assert photographs.tobytes() == rendered[1].tobytes()


@pytest.mark.parametrize("change", [{"seed": 2}, {"difficulty": 0.8}])
def test_different_arguments_give_different_photographs(change):
    plan = plan_lesions(20)
    before, after = render_all(plan)[1], render_all(plan, **change)[1]
    assert all((one != other).mean() > 0.3 for one, other in zip(before, after, strict=True))


def test_every_planned_photograph_is_rendered_in_order(uniform_plan, rendered):
    lesion, photographs = rendered
    assert lesion.dtype == np.int64
    assert lesion.tolist() == np.repeat(np.arange(len(uniform_plan.dx)), uniform_plan.photographs).tolist()
    assert photographs.shape == (700, 32, 32, 3)
    assert photographs.dtype == np.uint8
    assert photographs.flags.c_contiguous


def test_no_two_photographs_are_equal(rendered):
    assert len({photograph.tobytes() for photograph in rendered[1]}) == 700


@pytest.mark.parametrize(
    ("dx", "colour"),
    [
        ("akiec", [196.406, 141.601, 152.926]),
        ("bcc", [195.401, 147.867, 158.928]),
        ("bkl", [198.722, 148.563, 155.668]),
        ("df", [199.270, 147.403, 157.710]),
        ("mel", [184.015, 133.510, 140.830]),
        ("nv", [192.660, 143.820, 151.283]),
        ("vasc", [197.876, 144.633, 157.439]),
    ],
)
def test_mean_colours_are_known(uniform_plan, rendered, dx, colour):
    lesion, photographs = rendered
    shown = photographs[uniform_plan.dx[lesion] == DIAGNOSES.index(dx)].mean(axis=(0, 1, 2))
    # Not exact: a processor without AVX2 rounds one value in 100,000 to the neighbouring grey level.
    assert shown == pytest.approx(colour, abs=0.02)


def test_blocks_alone_equal_blocks_in_sequence(uniform_plan, rendered):
    assert block_count(uniform_plan) == 2
    plan = pickle.loads(pickle.dumps(uniform_plan))  # as a worker process receives it
    for block in (1, 0):
        lesion, photographs = render_block(plan, block, size=32, seed=1, difficulty=0.5)
        members = rendered[0] // 256 == block
        assert np.array_equal(lesion, rendered[0][members])
        assert np.array_equal(photographs, rendered[1][members])


@pytest.mark.parametrize(("lesions", "blocks"), [(0, 0), (1, 1), (256, 1), (257, 2), (512, 2)])
def test_block_count_rounds_up(lesions, blocks):
    assert block_count(repeat_diagnosis("nv", lesions, 1)) == blocks


@pytest.mark.parametrize("dx", DIAGNOSES)
def test_photographs_of_one_lesion_are_more_alike_than_of_two(dx):
    lesion, photographs = render_block(repeat_diagnosis(dx, lesions=12, photographs=4), 0, 48, 1, 0.5)
    pixels = photographs.reshape(len(photographs), -1, 3)
    colours = np.percentile(pixels, [2, 10, 30, 50, 70, 90], axis=1)  # (6, N, 3): the camera's turns do not matter
    distance = np.sqrt(((colours[:, :, None] - colours[:, None]) ** 2).sum(axis=(0, 3)))  # (N, N)
    same_lesion = lesion[:, None] == lesion
    itself = np.eye(len(lesion), dtype=bool)
    assert distance[same_lesion & ~itself].mean() < 0.75 * distance[~same_lesion].mean()


@pytest.mark.parametrize("size", [64, 96])
def test_every_size_shows_the_same_photographs(size):
    plan = plan_lesions(90, seed=1, imbalance=0)  # more than are rendered at once
    small, large = render_all(plan, 32)[1], render_all(plan, size)[1]
    shrunk = large.reshape(len(large), 32, size // 32, 32, size // 32, 3).mean(axis=(2, 4))
    correlation = np.corrcoef(small.reshape(len(small), -1), shrunk.reshape(len(small), -1))[:90, 90:]
    assert np.median(correlation.diagonal()) > 0.98
    assert correlation.argmax(axis=1).tolist() == list(range(90))


def share_told_by_colour(difficulty: float) -> float:
    """How many of 252 lesions are closest to the mean colours of their own diagnosis."""
    plan = LesionPlan(np.repeat(np.arange(7), 36), np.ones(252, np.int64))
    centre = render_block(plan, 0, 32, 1, difficulty)[1][:, 8:24, 8:24].reshape(252, -1, 3)
    colours = np.percentile(centre, [10, 50, 90], axis=1).transpose(1, 0, 2).reshape(252, -1)  # (252, 9)
    means = np.array([colours[plan.dx == dx].mean(axis=0) for dx in range(7)])
    closest = ((colours[:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
    return (closest == plan.dx).mean()


def test_difficulty_makes_diagnoses_harder_to_tell():
    easy, usual, hard = (share_told_by_colour(difficulty) for difficulty in (0, 0.5, 1))
    assert easy - 0.02 > usual > hard + 0.02 > 1 / 7


def test_melanomas_are_dark_and_vascular_lesions_red():
    centre, corner = slice(14, 18), slice(0, 4)
    of_skin = {}  # colour of the lesion over that of the skin around it, (3,) each
    for dx in ("mel", "vasc"):
        photographs = render_block(repeat_diagnosis(dx, 60, 1), 0, size=32, seed=1, difficulty=0)[1]
        lesion, skin = (np.median(photographs[:, part, part], axis=(0, 1, 2)) for part in (centre, corner))
        of_skin[dx] = lesion / skin
    assert of_skin["mel"].max() < 0.7
    assert of_skin["vasc"][0] > 0.7 > 0.5 > of_skin["vasc"][1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 15}, "size is 15, but must be at least 16"),
        ({"difficulty": -0.1}, "difficulty is -0.1, but must be from 0 to 1"),
        ({"difficulty": 1.1}, "difficulty is 1.1"),
    ],
)
def test_rendering_rejects_bad_arguments_before_the_first_block(arguments, message):
    with pytest.raises(ValueError, match=message):
        render_lesions(plan_lesions(7), **arguments)


@pytest.mark.parametrize("block", [-1, 1])
def test_a_block_outside_the_plan_is_rejected(block):
    with pytest.raises(ValueError, match=f"block is {block}, but the plan has 1"):
        render_block(plan_lesions(7), block, size=32, seed=0, difficulty=0.5)
