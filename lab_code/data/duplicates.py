"""The same picture under several names: collections hold some, and then one lesion has two ids.

If one copy were used for training and the other for validation, the network would be asked about a photograph that it
has learnt. So lesions that share a picture count as one where photographs are divided:

    groups = join_lesions(lesions.lesion_ids, find_same(digests))
    aside = split_by_lesion(lesions.labels, groups, 0.2, seed=0)
"""

import hashlib
from collections.abc import Hashable, Iterable, Sequence

import numpy as np


def digest_pixels(images: np.ndarray) -> list[bytes]:
    """One digest a photograph, (N, H, W, 3) uint8: the same for the same pixels."""
    return [hashlib.sha256(image).digest() for image in np.ascontiguousarray(images)]


def find_same(*digests: Iterable[Hashable]) -> list[list[int]]:
    """The indices of photographs that are the same picture, a list for every picture that is there more than once.

    Of several lists of digests, of whole pictures and of what training sees of them, any one may show it.
    """
    joined: dict[int, int] = {}
    indices: set[int] = set()

    def find_first(index: int) -> int:
        while index in joined:
            index = joined[index]
        return index

    for each in digests:
        seen: dict[Hashable, int] = {}
        for index, digest in enumerate(each):
            indices.add(index)
            first, other = sorted((find_first(seen.setdefault(digest, index)), find_first(index)))
            if first != other:
                joined[other] = first
    groups: dict[int, list[int]] = {}
    for index in sorted(indices):
        groups.setdefault(find_first(index), []).append(index)
    return [group for group in groups.values() if len(group) > 1]


def join_lesions(lesion_ids: Sequence[str] | np.ndarray, same: Sequence[Sequence[int]]) -> np.ndarray:
    """The lesion ids (N,), those that share a picture replaced by one of them: the first in the alphabet.

    Without such pictures they are what they were, and so is every split.
    """
    joined: dict[str, str] = {}

    def find_first(lesion: str) -> str:
        while lesion in joined:
            lesion = joined[lesion]
        return lesion

    for group in same:
        first, *others = sorted({find_first(str(lesion_ids[index])) for index in group})
        joined |= dict.fromkeys(others, first)
    return np.array([find_first(str(lesion)) for lesion in lesion_ids])
