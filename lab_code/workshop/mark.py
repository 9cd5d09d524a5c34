"""A group's mark: a colour and a shape, on its sheet as in its notebook, so that all see whose things these are.

    mark = mark_of(kit.group_number)       # Mark(name="blue circle", colour="#0b5fa5", …)
    draw_mark(mark, size_em=1.5)           # as SVG

There are six colours and six shapes, and four further shapes from the 37th group on: sixty groups all look different.
Colour is never alone: the shape, the number and the name say the same. `instructor/provision/sheet.typ` draws the same
points.
"""

import math
from dataclasses import dataclass

_Points = tuple[tuple[float, float], ...]

_COLOURS = (
    ("blue", "#0b5fa5"), ("orange", "#bd5200"), ("green", "#1b7a43"),
    ("purple", "#75389a"), ("red", "#b3142e"), ("grey", "#3f474f"),
)  # fmt: skip


def _corners(count: int, radii: tuple[float, ...] = (0.5,), middle: float = 0.5) -> _Points:
    """Corners around the middle, the first one on top; `radii` are taken in turn."""
    points = []
    for k in range(count):
        angle, radius = math.pi / 2 + 2 * math.pi * k / count, radii[k % len(radii)]
        points.append((round(0.5 + radius * math.cos(angle), 4), round(middle - radius * math.sin(angle), 4)))
    return tuple(points)


# Name, corners in a square of side 1 (none: a circle), how far the number hangs below the middle.
_SHAPES: tuple[tuple[str, _Points, float], ...] = (
    ("circle", (), 0.0),
    ("square", ((0.06, 0.06), (0.94, 0.06), (0.94, 0.94), (0.06, 0.94)), 0.0),
    ("triangle", _corners(3, (0.56,), 0.625), 0.18),
    ("diamond", _corners(4), 0.0),
    ("hexagon", _corners(6), 0.0),
    ("star", _corners(10, (0.5, 0.28)), 0.03),
)


_FURTHER_SHAPES: tuple[tuple[str, _Points, float], ...] = (
    ("cross", tuple((x / 6, y / 6) for x, y in (
        (1.6, 0), (4.4, 0), (4.4, 1.6), (6, 1.6), (6, 4.4), (4.4, 4.4),
        (4.4, 6), (1.6, 6), (1.6, 4.4), (0, 4.4), (0, 1.6), (1.6, 1.6))), 0.0),
    ("house", ((0.5, 0.0), (0.95, 0.42), (0.95, 0.98), (0.05, 0.98), (0.05, 0.42)), 0.14),
    ("arrow", ((0.5, 0.0), (1.0, 0.46), (0.78, 0.46), (0.78, 1.0), (0.22, 1.0), (0.22, 0.46), (0.0, 0.46)), 0.12),
    ("flag", ((0.0, 0.08), (1.0, 0.08), (0.82, 0.5), (1.0, 0.92), (0.0, 0.92)), 0.0),
)  # fmt: skip

_FIRST = len(_COLOURS) * len(_SHAPES)
DIFFERENT = _FIRST + len(_COLOURS) * len(_FURTHER_SHAPES)  # marks; after them they come again


@dataclass(frozen=True)
class Mark:
    """`points` are the corners in a square of side 1, from its upper left; none for a circle."""

    number: int
    name: str
    colour: str
    points: _Points
    drop: float  # of the number below the middle, as a share of the side


def mark_of(number: int) -> Mark:
    """The mark of the group with this number, counted from 1."""
    index, shapes, turn = (number - 1) % DIFFERENT, _SHAPES, len(_COLOURS)
    if index >= _FIRST:
        index, shapes, turn = index - _FIRST, _FURTHER_SHAPES, 2 * len(_COLOURS)  # where the pairs would come again
    colour_name, colour = _COLOURS[(index + index // turn) % len(_COLOURS)]
    shape, points, drop = shapes[index % len(shapes)]
    return Mark(number, f"{colour_name} {shape}", colour, points, drop)


def draw_mark(mark: Mark, size_em: float = 1.5) -> str:
    """The mark with its number as an SVG picture, to be set into a line of text."""
    corners = " ".join(f"{100 * x:g},{100 * y:g}" for x, y in mark.points)
    shape = f'<polygon points="{corners}"/>' if mark.points else '<circle cx="50" cy="50" r="50"/>'
    return (
        f'<svg role="img" aria-label="the {mark.name}" viewBox="0 0 100 100" width="{size_em}em" height="{size_em}em" '
        f'style="vertical-align:-0.35em" fill="{mark.colour}">{shape}'
        f'<text x="50" y="{50 + 100 * mark.drop:g}" fill="#ffffff" font-size="46" font-weight="bold" '
        f'font-family="sans-serif" text-anchor="middle" dominant-baseline="central">{mark.number}</text></svg>'
    )
