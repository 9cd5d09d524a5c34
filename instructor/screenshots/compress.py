"""A screenshot as a small file: WebP without losses, but for the last shades of its colours."""

import io

from PIL import Image, ImageChops

_STEP = 4  # of 256 shades of a channel: less than eyes see, and a fifth of the bytes


def to_webp(png: bytes) -> bytes:
    """The picture as WebP; the same picture gives the same bytes."""
    out = io.BytesIO()
    _read(png).point(_round).save(out, format="WEBP", lossless=True, quality=100, method=6)
    return out.getvalue()


def crop(png: bytes, *, height: float = 1.0, margin: int = 24) -> bytes:
    """The upper part of a page, without the empty paper around what stands there but for a margin."""
    page = _read(png)
    page = page.crop((0, 0, page.width, round(height * page.height)))
    paper = Image.new("RGB", page.size, "white")
    left, top, right, bottom = ImageChops.difference(page, paper).getbbox() or (0, 0, *page.size)
    box = (
        max(0, left - margin),
        max(0, top - margin),
        min(page.width, right + margin),
        min(page.height, bottom + margin),
    )
    out = io.BytesIO()
    page.crop(box).save(out, format="PNG")
    return out.getvalue()


def _read(png: bytes) -> Image.Image:
    with Image.open(io.BytesIO(png)) as opened:
        return opened.convert("RGB")


def _round(shade: int) -> int:
    return min(255, round(shade / _STEP) * _STEP)  # white stays white
