"""Colours, shape and texture of a lesion as numbers: what a classical method sees of a photograph.

`measure_photographs(images)` gives one row of features a photograph. They follow dermatology's ABCD rule (asymmetry,
border, colour, differential structure; Stolz et al., Eur. J. Dermatol. 4, 1994) as far as simple arithmetic goes, and
add local binary patterns (Ojala et al., IEEE PAMI 24, 2002). All of them are the same, or nearly so, for mirror images.
"""

from collections.abc import Iterator

import numpy as np

_PERCENTILES = (5, 25, 50, 75, 95)
_NEIGHBOURS = ((-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1))  # once around a pixel


def measure_photographs(images: np.ndarray) -> np.ndarray:
    """(N, H, W, 3) uint8 -> (N, F) float32."""
    pixels = images.astype(np.float32) / 255
    channels = _opponent_channels(pixels)  # (N, H, W, 6)
    lesion = _find_lesion(channels[..., 3])  # (N, H, W) bool
    columns = [
        *_measure_colours(channels),
        *_measure_inside(channels, lesion),
        *_measure_shape(lesion),
        *_measure_texture(channels[..., 3]),
    ]
    return np.nan_to_num(np.column_stack(columns).astype(np.float32))


def _opponent_channels(pixels: np.ndarray) -> np.ndarray:
    """Red, green, blue; then brightness, red against green, yellow against blue, as the eye compares them."""
    red, green, blue = np.moveaxis(pixels, -1, 0)
    return np.stack([red, green, blue, pixels.mean(-1), red - green, (red + green) / 2 - blue], axis=-1)


def _find_lesion(brightness: np.ndarray) -> np.ndarray:
    """A rough mask: darker than half way between the rim of the picture and its darkest twentieth."""
    side = max(1, brightness.shape[1] // 8)
    rim = np.ones(brightness.shape[1:], bool)
    rim[side:-side, side:-side] = False
    skin = np.median(brightness[:, rim], axis=1)
    dark = np.percentile(brightness, 5, axis=(1, 2))
    return brightness < ((skin + dark) / 2)[:, None, None]


def _measure_colours(channels: np.ndarray) -> Iterator[np.ndarray]:
    """Percentiles and spread of every channel over the whole picture."""
    yield from np.percentile(channels, _PERCENTILES, axis=(1, 2)).transpose(0, 2, 1).reshape(-1, len(channels))
    yield from channels.std(axis=(1, 2)).T


def _measure_inside(channels: np.ndarray, lesion: np.ndarray) -> Iterator[np.ndarray]:
    """Mean and spread of every channel inside the lesion, and its contrast with the skin around."""
    inside = lesion[..., None]
    count = np.maximum(inside.sum(axis=(1, 2)), 1)
    outside = np.maximum((~inside).sum(axis=(1, 2)), 1)
    mean = (channels * inside).sum(axis=(1, 2)) / count
    spread = np.sqrt(np.maximum((channels**2 * inside).sum(axis=(1, 2)) / count - mean**2, 0))
    skin = (channels * ~inside).sum(axis=(1, 2)) / outside
    for block in (mean, spread, mean - skin, mean / (skin + 0.05)):
        yield from block.T


def _measure_shape(lesion: np.ndarray) -> Iterator[np.ndarray]:
    """Area, border, elongation and asymmetry of the mask."""
    size = lesion.shape[1]
    area = lesion.sum(axis=(1, 2)) + 1.0
    border = (lesion[:, 1:] != lesion[:, :-1]).sum(axis=(1, 2)) + (lesion[:, :, 1:] != lesion[:, :, :-1]).sum(
        axis=(1, 2)
    )
    axis = np.linspace(-1, 1, size)
    x = (lesion * axis).sum(axis=(1, 2)) / area
    y = (lesion * axis[:, None]).sum(axis=(1, 2)) / area
    xx = (lesion * axis**2).sum(axis=(1, 2)) / area - x**2
    yy = (lesion * axis[:, None] ** 2).sum(axis=(1, 2)) / area - y**2
    xy = (lesion * axis * axis[:, None]).sum(axis=(1, 2)) / area - x * y
    root = np.sqrt(np.maximum((xx - yy) ** 2 + 4 * xy**2, 0))
    yield area / size**2
    yield border / np.sqrt(area)
    yield np.sqrt(np.maximum(xx + yy - root, 0) / (xx + yy + root + 1e-6))
    yield np.hypot(x, y)
    yield xx + yy
    differences = [(lesion != turned).sum(axis=(1, 2)) / area for turned in (lesion[:, ::-1], lesion[:, :, ::-1])]
    yield np.minimum(*differences)
    yield np.maximum(*differences)


def _measure_texture(brightness: np.ndarray) -> Iterator[np.ndarray]:
    """Gradients and local binary patterns at three scales, each half the size of the one before."""
    for _ in range(3):
        steps = np.hypot(
            brightness[:, 1:, :-1] - brightness[:, :-1, :-1], brightness[:, :-1, 1:] - brightness[:, :-1, :-1]
        )
        yield steps.mean(axis=(1, 2))
        yield from np.percentile(steps, (50, 90, 99), axis=(1, 2))
        yield from _binary_patterns(brightness)
        half = brightness.shape[1] // 2
        brightness = brightness[:, : 2 * half, : 2 * half].reshape(len(brightness), half, 2, half, 2).mean(axis=(2, 4))


def _binary_patterns(brightness: np.ndarray) -> Iterator[np.ndarray]:
    """Shares of the ten uniform, rotation-invariant patterns: which neighbours are brighter than the middle."""
    size = brightness.shape[1]
    middle = brightness[:, 1:-1, 1:-1]
    signs = np.stack(
        [brightness[:, 1 + dy : size - 1 + dy, 1 + dx : size - 1 + dx] > middle + 0.004 for dy, dx in _NEIGHBOURS]
    )
    changes = (signs != np.roll(signs, 1, axis=0)).sum(axis=0)
    pattern = np.where(changes <= 2, signs.sum(axis=0), 9)
    for value in range(10):
        yield (pattern == value).mean(axis=(1, 2))
