"""Synthetic dermoscopy: labelled pictures of lesions that nobody ever had, for when real ones cannot be carried along.

    plan = plan_lesions(images=4000, seed=1)
    for lesion, photographs in render_lesions(plan, size=64, seed=1): …

The pictures come from a procedural model; its colours and parameters were set by eye against seventy photographs of
HAM10000. It makes no medical claim, and its output must never be presented as real. Splitting and writing files is
left to `prepare`; traits and rendering live in `synthetic_parameters` and `synthetic_render`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from instructor.dataset.synthetic_parameters import DIAGNOSES, draw_lesions
from instructor.dataset.synthetic_render import photograph

__all__ = ["DIAGNOSES", "LesionPlan", "block_count", "plan_lesions", "render_block", "render_lesions"]

# Photographs and lesions of each diagnosis in HAM10000, counted in its metadata (Tschandl et al. 2018,
# doi:10.1038/sdata.2018.161).
_HAM10000_IMAGES = np.array([327, 514, 1099, 115, 1113, 6705, 142])
_HAM10000_LESIONS = np.array([228, 327, 727, 73, 614, 5403, 98])
_MOST_PHOTOGRAPHS = 6  # of one lesion
_NEVUS = DIAGNOSES.index("nv")

_LESIONS_IN_BLOCK = 256
_PHOTOGRAPHS_AT_ONCE = 64  # few enough for the arrays to stay in the processor's cache
_SMALLEST_SIZE = 16  # pixels

# Everything is drawn from np.random.RandomState, whose stream NEP 19 has frozen: the same seed gives the same pictures
# with every version of NumPy, which np.random.default_rng does not promise.


@dataclass(frozen=True, eq=False)  # == of arrays has no single truth
class LesionPlan:
    """Which lesions exist: one entry a lesion."""

    dx: np.ndarray  # (L,) int64, index into DIAGNOSES
    photographs: np.ndarray  # (L,) int64, number of photographs of each lesion


def plan_lesions(images: int, seed: int = 0, imbalance: float = 1.0) -> LesionPlan:
    """Decide on diagnoses and on how often each lesion is photographed, `images` photographs in all.

    `imbalance` 1 gives HAM10000's proportions, 0 the same number of photographs for every diagnosis; every diagnosis
    gets at least one. Lesions are photographed as often as in HAM10000, most of them once. Raises `ValueError` for
    fewer images than diagnoses or an imbalance outside 0 to 1.
    """
    if images < len(DIAGNOSES):
        raise ValueError(f"images is {images}, but must be at least {len(DIAGNOSES)}: one for each diagnosis")
    if not 0 <= imbalance <= 1:
        raise ValueError(f"imbalance is {imbalance}, but must be from 0 (uniform) to 1 (as in HAM10000)")
    random = np.random.RandomState(seed)
    dx: list[int] = []
    photographs: list[int] = []
    for diagnosis, wanted in enumerate(_share_images(images, imbalance)):
        numbers = _draw_photograph_numbers(random, diagnosis, wanted)
        dx += [diagnosis] * len(numbers)
        photographs += numbers
    order = random.permutation(len(dx))
    return LesionPlan(np.array(dx, np.int64)[order], np.array(photographs, np.int64)[order])


def block_count(plan: LesionPlan) -> int:
    """The number of blocks that the plan is rendered in, 256 lesions each but the last."""
    return -(-len(plan.dx) // _LESIONS_IN_BLOCK)


def render_lesions(
    plan: LesionPlan, size: int = 64, seed: int = 0, difficulty: float = 0.5
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Render every photograph of the plan, block after block, as `render_block` returns them.

    Bad arguments raise `ValueError` at once, not at the first block.
    """
    _check_rendering(size, difficulty)
    return (render_block(plan, block, size, seed, difficulty) for block in range(block_count(plan)))


def render_block(
    plan: LesionPlan, block: int, size: int, seed: int, difficulty: float
) -> tuple[np.ndarray, np.ndarray]:
    """Render one block: the lesion in each photograph, (B,) int64, and the photographs, (B, size, size, 3) uint8 RGB.

    Blocks have seeds of their own, so they can be rendered in any order and in any process. `difficulty` is from 0
    (textbook lesions) to 1 (many that lean to another diagnosis). Raises `ValueError` for a difficulty outside that,
    a size below 16 pixels or a block that the plan does not have.
    """
    _check_rendering(size, difficulty)
    if not 0 <= block < block_count(plan):
        raise ValueError(f"block is {block}, but the plan has {block_count(plan)}, counted from 0")
    first = block * _LESIONS_IN_BLOCK
    members = slice(first, first + _LESIONS_IN_BLOCK)
    block_seed = (seed * 1000003 + block * 7919 + 17) % 2**32
    random, noise = np.random.RandomState(block_seed), np.random.RandomState((block_seed + 1) % 2**32)

    lesions = draw_lesions(random, plan.dx[members], difficulty)
    numbers = plan.photographs[members]
    lesion = np.repeat(np.arange(len(numbers)), numbers)  # (B,)
    photographs = np.empty((len(lesion), size, size, 3), np.uint8)
    for start in range(0, len(lesion), _PHOTOGRAPHS_AT_ONCE):
        batch = slice(start, start + _PHOTOGRAPHS_AT_ONCE)
        photographs[batch] = photograph(lesions, lesion[batch], size, random, noise)
    return first + lesion, photographs


def _share_images(images: int, imbalance: float) -> np.ndarray:
    """The number of photographs of each diagnosis, (7,): at least one each, `images` in all."""
    share = (_HAM10000_IMAGES / _HAM10000_IMAGES.sum()) ** imbalance
    wanted = np.maximum(np.round(share / share.sum() * images).astype(np.int64), 1)
    wanted[_NEVUS] += images - wanted.sum()  # the most common one absorbs what rounding left over
    while wanted[_NEVUS] < 1:  # 11 images shared evenly: 2 each is 14, and nevi cannot give back 3
        wanted[wanted.argmax()] -= 1
        wanted[_NEVUS] += 1
    return wanted


def _draw_photograph_numbers(random: np.random.RandomState, diagnosis: int, wanted: int) -> list[int]:
    """How many photographs each lesion of a diagnosis has, until there are `wanted` of them."""
    further = _HAM10000_IMAGES[diagnosis] / _HAM10000_LESIONS[diagnosis] - 1  # mean number after the first
    numbers: list[int] = []
    while wanted > 0:
        numbers.append(min(1 + random.poisson(further), _MOST_PHOTOGRAPHS, wanted))
        wanted -= numbers[-1]
    return numbers


def _check_rendering(size: int, difficulty: float) -> None:
    if size < _SMALLEST_SIZE:
        raise ValueError(f"size is {size}, but must be at least {_SMALLEST_SIZE} pixels")
    if not 0 <= difficulty <= 1:
        raise ValueError(f"difficulty is {difficulty}, but must be from 0 to 1")
