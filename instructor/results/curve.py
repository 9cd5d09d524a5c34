"""A learning curve as SVG, drawn to be read from the last row: one curve in its group's colour, the others behind it.

svg = draw_curve({"group-1": [(1, 0.21), (2, 0.34)], …}, "group-1", "#0b5fa5")
"""

import math
from collections.abc import Mapping, Sequence
from html import escape

Points = Sequence[tuple[int, float]]
_WIDTH, _HEIGHT = 1000, 560
_LEFT, _RIGHT, _TOP, _BOTTOM = 110, 960, 40, 470


def draw_curve(curves: Mapping[str, Points], group: str, colour: str) -> str:
    """The curve of `group` among all; a text alternative says where it began and ended."""
    mine = curves[group]
    steps = [step for points in curves.values() for step, _ in points]
    low, high = min(steps), max(steps)
    top = min(1.0, math.ceil(10 * max(value for points in curves.values() for _, value in points) + 0.5) / 10)

    def place(step: int, value: float) -> str:
        x = _LEFT + (step - low) / max(1, high - low) * (_RIGHT - _LEFT)
        return f"{x:.1f},{_BOTTOM - value / top * (_BOTTOM - _TOP):.1f}"

    first, last, best = mine[0], mine[-1], max(mine, key=lambda point: point[1])
    said = (
        f"Learning curve of {group}: balanced accuracy {first[1]:.2f} after epoch {first[0]}, {last[1]:.2f} at the end"
    )
    others = [_line(points, place, 'class="other"') for name, points in curves.items() if name != group]
    own = _line(mine, place, f'class="own" stroke="{colour}" pathLength="1"')
    x, y = place(*best).split(",")
    anchor = "end" if float(x) > (_LEFT + _RIGHT) / 2 else "start"
    label = f'<text class="best" x="{x}" y="{float(y) - 22:.1f}" text-anchor="{anchor}">{best[1]:.2f}</text>'
    dot = f'<circle cx="{x}" cy="{y}" r="11" fill="{colour}"/>'
    return (
        f'<svg class="curve" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(said)}">'
        f"{_draw_axes(low, high, top)}{''.join(others)}{own}{dot}{label}</svg>"
    )


def _line(points: Points, place: object, attributes: str) -> str:
    assert callable(place)
    drawn = " ".join(place(step, value) for step, value in points)
    return f'<polyline points="{drawn}" fill="none" {attributes}/>'


def _draw_axes(low: int, high: int, top: float) -> str:
    lines = []
    for number in range(3):
        y = _BOTTOM - number / 2 * (_BOTTOM - _TOP)
        lines.append(f'<line class="grid" x1="{_LEFT}" x2="{_RIGHT}" y1="{y}" y2="{y}"/>')
        lines.append(f'<text x="{_LEFT - 16}" y="{y + 11}" text-anchor="end">{top * number / 2:.2f}</text>')
    lines.append(f'<text x="{_LEFT}" y="{_BOTTOM + 44}" text-anchor="middle">{low}</text>')
    if high > low:
        lines.append(f'<text x="{_RIGHT}" y="{_BOTTOM + 44}" text-anchor="middle">{high}</text>')
    middle = (_LEFT + _RIGHT) / 2
    lines.append(f'<text x="{middle}" y="{_BOTTOM + 78}" text-anchor="middle">epoch</text>')
    return "".join(lines)
