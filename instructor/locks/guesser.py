"""A lazy guesser, as the audit models it: it reads nothing and tries what lies at hand, the likeliest first.

    texts = read_texts(project, opened=["1-configuration"])
    lists_needed(questions, texts)      # how many lists it has tried when it comes to the right one

- Of options it prefers what testers' habits make right: the longest, the shortest, the only one with a unit, a number
  in the middle.
- A number it takes from the question, from the file of `look_in`, from files that these and the hints name, then from
  the rest of the kit; or it counts up from 0, whichever comes to the answer first. Names likewise.
- Lists come in the order of the product of their answers' places: the best order where the n-th candidate of a question
  is right about 1/n as often as the first. It is not told when one of several answers is right.

It does not run commands. Whoever does has answered the question.
"""

import itertools
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from decimal import Decimal
from functools import lru_cache
from pathlib import Path, PurePosixPath

from instructor.quizbank.bank import CHOICE, NAME, NUMBER
from instructor.quizbank.variants import GroupQuestion
from instructor.workshop import PROJECT, trees_of
from lab_code.errors import LabError
from lab_code.workshop.quiz import canonical_answer

NUMBERS = re.compile(r"(?<![\w.])\d[\d_]*(?:\.\d+)?(?:[eE]-?\d+)?(?![\w.]*\w)")
DEFINED = re.compile(r"^\s*(?:def |class )?([A-Za-z_]\w*)\s*(?=[:=(])", re.MULTILINE)
_FEW = 64  # candidates of a question that are counted one by one
_SUFFIXES = (".py", ".yaml", ".yml", ".ipynb", ".js", ".css", ".md", ".txt", ".csv")
_UNIT = re.compile(r"\d\s*(?:%|[a-zA-Z]{1,3}\b)")
_CHOICE_OF_GROUP = re.compile(r"^\s*-?\s*(?:override\s+/)?(\w+): (\w+)", re.MULTILINE)

Texts = dict[str, str]  # path in the kit -> what stands in it


def read_texts(project: Path, opened: Iterable[str] = (), data: Path | None = None) -> Texts:
    """Every text of a kit that a group can read once the stages `opened` are open; `data` are its photographs."""
    tops = ("lab_code", "notebooks")
    roots = [tree for top in tops for tree in trees_of(project, top)]
    roots += [project / "locked" / stage / top for stage in opened for top in tops]
    paths = {path.relative_to(root.parent).as_posix(): path for root in roots for path in sorted(root.rglob("*"))}
    paths |= {name: PROJECT / name for name in ("constraints.txt", "environment.yml")}
    paths["README.md"] = PROJECT / "instructor" / "provision" / "kit_files" / "README.md"
    if data is not None:
        paths |= {f"data/{path.name}": path for path in sorted(data.glob("*.csv"))}
    return {
        name: path.read_text(encoding="utf-8")
        for name, path in paths.items()
        if path.suffix in _SUFFIXES and path.is_file()
    }


def lists_needed(questions: list[GroupQuestion], texts: Texts) -> int:
    """Lists that the guesser has tried, at most, when it comes to the right one."""
    places = [place_of(question, texts) for question in questions]
    return count_lists(places, [_size(*pair) for pair in zip(questions, places, strict=True)])


def count_lists(places: list[int], sizes: list[int]) -> int:
    """How many lists have no larger product of places than the right one has; `sizes` count the candidates.

    Exact where one question at most has many candidates; with k of them n (ln n)^(k-1) / (k-1)! of their lists, which
    is a little less than there are.
    """
    bound, products = math.prod(places), Counter({1: 1})
    for size in (size for size in sizes if size <= _FEW):
        larger: Counter[int] = Counter()
        for product, count in products.items():
            for place in range(1, min(size, bound // product) + 1):
                larger[product * place] += count
        products = larger
    many = [size for size in sizes if size > _FEW]
    return sum(count * _count_many(bound // product, many) for product, count in products.items())


def _count_many(bound: int, sizes: list[int]) -> int:
    further = len(sizes) - 1
    if further > 0 and bound > 1:
        bound = int(bound * math.log(bound) ** further / math.factorial(further))
    return min(bound, math.prod(sizes))


def place_of(question: GroupQuestion, texts: Texts) -> int:
    """The place of the right answer among the candidates of a question, counted from 1."""
    shown = question.shown
    if shown.kind == CHOICE:
        return order_by_looks(shown.options).index(int(question.answer) - 1) + 1
    if shown.kind not in (NUMBER, NAME):
        return _sets(len(shown.options)).index(question.answer) + 1
    candidates = list_candidates(question, texts)
    places = [candidates.index(question.answer) + 1] if question.answer in candidates else []
    if shown.kind == NUMBER:
        places.append(_count_up(question.answer))
    return min(places, default=len(candidates) + 1)


def order_by_looks(options: tuple[str, ...]) -> list[int]:
    """Options as somebody tries them who has no idea: those first that stand out most, the longest before others."""
    looks = [liked(options) for liked in HABITS.values()]

    def rank(index: int) -> tuple[int, int, int]:
        liking = [number for number, liked in enumerate(looks) if index in liked]
        return -len(liking), min(liking, default=0), index

    return sorted(range(len(options)), key=rank)


def list_candidates(question: GroupQuestion, texts: Texts) -> list[str]:
    """Numbers or names, in the order in which a lazy guesser comes across them."""
    shown = question.shown
    near = [shown.text, texts.get(shown.look_in, ""), *shown.hints]
    named = [name for text in near for name in files_named(text, texts)]
    ordered = dict.fromkeys([shown.look_in, *named, *texts])
    places = [shown.text, *shown.hints, *(texts[name] for name in ordered if name in texts)]
    if shown.kind == NUMBER:
        return list(dict.fromkeys(number for text in places for number in _list_numbers(text)))
    names = [PurePosixPath(name).name.lower() for name in ordered]
    is_file = "." in question.answer
    defined = [name.lower() for text in places for name in DEFINED.findall(text)]
    return list(dict.fromkeys(names if is_file else defined))


def files_named(text: str, texts: Texts) -> Iterator[str]:
    """Files that a text points to: by name, path or folder, by an import, or as YAML picks a file of a group."""
    choices = {f"conf/{group}/{choice}.yaml" for group, choice in _CHOICE_OF_GROUP.findall(text)}
    for name in texts:
        path = PurePosixPath(name)
        short = name.removeprefix("lab_code/")
        module = name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        folder = f"{path.parent.relative_to('lab_code') if name.startswith('lab_code/') else path.parent}/"
        spelt = (path.name, module) if name.endswith(".py") else (path.name,)
        said = any(re.search(rf"(?<![\w.]){re.escape(word)}(?!\w)", text) for word in spelt if word in text)
        if said or short in choices or (len(folder) > 3 and folder in text):
            yield name


@lru_cache(maxsize=1024)  # the texts are the same for every question of every group
def _list_numbers(text: str) -> tuple[str, ...]:
    return tuple(numbers_in(text))


def numbers_in(text: str) -> Iterator[str]:
    """Every number of a text in its canonical spelling."""
    for number in NUMBERS.findall(text):
        try:
            yield canonical_answer(number)
        except LabError:
            continue


def _size(question: GroupQuestion, place: int) -> int:
    """How many candidates a question has: for a number that stands nowhere all that have as many digits."""
    options = len(question.shown.options)
    if question.shown.kind in (NUMBER, NAME):
        return max(place, 10 ** len(re.sub(r"\D", "", question.answer))) if question.shown.kind == NUMBER else place
    return options if question.shown.kind == CHOICE else 2**options - 1


def _sets(options: int) -> list[str]:
    """Sets of options as answers: two and more first, one alone and all of them at last."""
    sizes = [*range(2, options), 1, options]
    return [
        "+".join(map(str, chosen)) for size in sizes for chosen in itertools.combinations(range(1, options + 1), size)
    ]


def _count_up(answer: str) -> int:
    """When somebody who counts 0, 1, 2, … comes to it; with decimals in steps of the last one."""
    number, decimals = Decimal(answer), len(answer.partition(".")[2])
    return int(abs(number).scaleb(decimals)) + 1


def _longest(options: tuple[str, ...]) -> list[int]:
    return _extremes([len(option) for option in options])


def _shortest(options: tuple[str, ...]) -> list[int]:
    return _extremes([-len(option) for option in options])


def _only_with_unit(options: tuple[str, ...]) -> list[int]:
    found = [index for index, option in enumerate(options) if _UNIT.search(option)]
    return found if len(found) == 1 else []


def _middle_numbers(options: tuple[str, ...]) -> list[int]:
    try:
        ordered = sorted(range(len(options)), key=lambda index: Decimal(options[index]))
    except ArithmeticError:
        return []
    return ordered[(len(ordered) - 1) // 2 : len(ordered) // 2 + 1] if len(ordered) > 2 else []


def _extremes(sizes: list[int]) -> list[int]:
    """The largest, where not all are the same."""
    return [index for index, size in enumerate(sizes) if size == max(sizes)] if len(set(sizes)) > 1 else []


# What looks right to a tester: each names the options that stand out.
HABITS = {
    "the longest": _longest,
    "the shortest": _shortest,
    "the only one with a unit": _only_with_unit,
    "a number in the middle": _middle_numbers,
}
