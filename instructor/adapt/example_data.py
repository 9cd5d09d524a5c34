"""Small data sets about other subjects, in the layout that anybody's own would have: for `instructor new --example`.

    digits     handwritten digits, grey, ten classes: those that scikit-learn brings
    shapes     drawn by a program, in colour, six classes; three pictures of each drawing belong together

Both are unbalanced on purpose: some classes have few photographs, so that accuracy and balanced accuracy differ.
"""

import csv
import io
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from lab_code.data.dataset import DESCRIPTION
from lab_code.files import write_whole

EXAMPLES = ("digits", "shapes")
_SIZE = 32
_RARE = {"7": 50, "8": 40, "9": 40}  # digits that are kept; of the others all
_DRAWINGS = {"circle": 60, "square": 60, "triangle": 40, "star": 20, "cross": 12, "ring": 8}
_PICTURES = 3  # of a drawing

_ABOUT = {
    "digits": """\
name: Handwritten digits
kind: grey
classes:
  - {code: "0", name: zero, several: zeros}
  - {code: "1", name: one, one: a one, several: ones}
  - {code: "2", name: two, several: twos}
  - {code: "3", name: three, several: threes}
  - {code: "4", name: four, several: fours}
  - {code: "5", name: five, several: fives}
  - {code: "6", name: six, several: sixes}
  - {code: "7", name: seven, several: sevens}
  - {code: "8", name: eight, several: eights}
  - {code: "9", name: nine, several: nines}
class_words: [digit, digits]
group_words: [drawing, drawings]
source: "E. Alpaydin, C. Kaynak: Optical Recognition of Handwritten Digits, UCI; as scikit-learn brings them"
licence: CC BY 4.0
spotlight: "9"
""",
    "shapes": """\
name: Drawn shapes
kind: colour
classes: [circle, square, triangle, star, cross, ring]
class_words: [shape, shapes]
group_words: [drawing, drawings]
one_class_a_group: true
source: drawn by the lab kit
licence: CC0 1.0 (public domain)
spotlight: ring
""",
}


def write_example(example: str, folder: Path) -> None:
    """Fill `folder` with `images/`, `metadata.csv` and `dataset.yaml`: the same bytes on every machine."""
    (folder / "images").mkdir(parents=True)
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["image", "digit", "drawing_id"] if example == "digits" else ["image", "shape", "drawing_id"])
    for number, (code, drawing, picture) in enumerate(_draw_digits() if example == "digits" else _draw_shapes()):
        name = f"{example[:-1]}_{number:04d}.png"
        picture.save(folder / "images" / name)
        table.writerow([name, code, drawing])
    write_whole(folder / "metadata.csv", text.getvalue())
    write_whole(folder / DESCRIPTION, _ABOUT[example])


def _draw_digits() -> Iterator[tuple[str, str, Image.Image]]:
    from sklearn.datasets import load_digits

    digits, kept = load_digits(), dict.fromkeys(map(str, range(10)), 0)
    for number, (pixels, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        code = str(label)
        kept[code] += 1
        if kept[code] <= _RARE.get(code, 120):
            grey = Image.fromarray((pixels * (255 / 16)).astype(np.uint8))  # 8 x 8, 0 to 16
            yield code, f"drawing-{number:04d}", grey.resize((_SIZE, _SIZE), Image.Resampling.BICUBIC)


def _draw_shapes() -> Iterator[tuple[str, str, Image.Image]]:
    random = np.random.RandomState(0)  # whose numbers are the same in every version of NumPy
    for code, drawings in _DRAWINGS.items():
        for number in range(drawings):
            paper, ink = random.randint(150, 256, 3), random.randint(0, 120, 3)
            for _ in range(_PICTURES):
                turn, radius = random.uniform(0, 2 * math.pi), random.uniform(8, 13)
                middle = random.uniform(_SIZE / 2 - 2, _SIZE / 2 + 2, 2)
                picture = Image.new("RGB", (_SIZE, _SIZE), tuple(paper.tolist()))
                _draw_shape(ImageDraw.Draw(picture), code, middle, radius, turn, tuple(ink.tolist()))
                noisy = np.asarray(picture) + random.normal(0, 8, (_SIZE, _SIZE, 3))
                yield code, f"{code}-{number:03d}", Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def _draw_shape(
    draw: ImageDraw.ImageDraw, code: str, middle: np.ndarray, radius: float, turn: float, ink: tuple[int, ...]
) -> None:
    x, y = middle.tolist()
    box = [x - radius, y - radius, x + radius, y + radius]
    if code == "circle":
        draw.ellipse(box, fill=ink)
    elif code == "ring":
        draw.ellipse(box, outline=ink, width=3)
    elif code == "cross":
        for angle in (turn, turn + math.pi / 2):
            dx, dy = radius * math.cos(angle), radius * math.sin(angle)
            draw.line([x - dx, y - dy, x + dx, y + dy], fill=ink, width=4)
    else:
        corners = {"square": 4, "triangle": 3, "star": 10}[code]
        radii = [radius if code != "star" or corner % 2 == 0 else radius / 2.4 for corner in range(corners)]
        angles = [turn + 2 * math.pi * corner / corners for corner in range(corners)]
        points = zip(radii, angles, strict=True)
        draw.polygon([(x + r * math.cos(a), y + r * math.sin(a)) for r, a in points], fill=ink)
