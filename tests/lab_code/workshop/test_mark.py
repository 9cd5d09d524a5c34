"""Colours and shapes of groups: each pair once, and never colour alone."""

from itertools import pairwise
from xml.etree import ElementTree

import pytest

from lab_code.workshop.kit import read_kit
from lab_code.workshop.mark import DIFFERENT, draw_mark, mark_of


def test_every_group_has_another_mark_and_neighbours_differ_in_both() -> None:
    marks = [mark_of(number) for number in range(1, DIFFERENT + 1)]
    assert len({mark.name for mark in marks}) == DIFFERENT == 60
    for one, other in pairwise(marks):
        assert not set(one.name.split()) & set(other.name.split()) and one.colour != other.colour


@pytest.mark.parametrize("number", range(1, 8))
def test_a_mark_is_a_picture_with_its_name_and_number(number: int) -> None:
    picture = ElementTree.fromstring(draw_mark(mark_of(number)))
    assert picture.attrib["aria-label"] == f"the {mark_of(number).name}" and picture.attrib["role"] == "img"
    assert [part.text for part in picture if part.tag == "text"] == [str(number)]
    assert all(0 <= value <= 1 for point in mark_of(number).points for value in point)


def test_a_kit_knows_the_mark_of_its_sheet(make_kit) -> None:
    assert [read_kit(make_kit(f"group-{number}").root).mark.name for number in (1, 2, 3)] == [
        "blue circle", "orange square", "green triangle",
    ]  # fmt: skip
