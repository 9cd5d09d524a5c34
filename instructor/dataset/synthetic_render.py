"""Photographs of synthetic lesions: what a dermatoscope would show, from pigments to pixels.

`photograph(lesions, lesion, size, random, noise)` returns one picture for each entry of `lesion`. Light is absorbed by
melanin, deep melanin and haemoglobin (Beer-Lambert: image = skin x exp(-optical density)), white structures are laid
over it, then come hair, ruler, lamp, colour cast, focus and sensor noise. Arrays are float32 and channels-first until
the last line. What a lesion is like is left to `synthetic_parameters`, seeds and blocks to `synthetic`.
"""

from dataclasses import dataclass

import numpy as np

from instructor.dataset.synthetic_parameters import (
    ABSORPTION_DARK_MELANIN,
    ABSORPTION_DEEP_MELANIN,
    ABSORPTION_HAEMOGLOBIN,
    ABSORPTION_TAN_MELANIN,
    Lesions,
    Textures,
    Traits,
)

_WHITE = (0.97, 0.90, 0.90)  # of scars, cysts and scale
_DARK_HAIR = (0.16, 0.10, 0.09)
_FAIR_HAIR = (0.55, 0.40, 0.30)
_RULER_INK = 0.08
_MOST_HAIRS = 14


@dataclass(frozen=True)
class View:
    """How the camera is held over the lesion in each photograph, (B, 1, 1) each."""

    turn: np.ndarray  # radians
    zoom: np.ndarray
    shift_x: np.ndarray  # half widths of the picture
    shift_y: np.ndarray


@dataclass(frozen=True)
class Shape:
    """Where the lesion is in each photograph, (B, H, W) each."""

    distance: np.ndarray  # from the centre, in radii: 1 on the border
    inside: np.ndarray  # 0 outside to 1 inside
    core: np.ndarray  # 1 in the middle of the lesion


def photograph(
    lesions: Lesions,
    lesion: np.ndarray,
    size: int,
    random: np.random.RandomState,
    noise: np.random.RandomState,
) -> np.ndarray:
    """Photograph the lesions with the indices `lesion` (B,): (B, size, size, 3) uint8, RGB.

    Only sensor noise comes from `noise`. It is the only draw whose length depends on `size`, so with a stream of its
    own every size shows the same photographs.
    """
    view = _draw_view(random, len(lesion))
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1  # pixel centres, in half widths
    traits = lesions.traits.per_photograph(lesion)
    textures = Textures(*(_see_texture(waves[lesion], view, axis) for waves in lesions.textures))
    lobe = lesions.lobe_x[lesion, None, None], lesions.lobe_y[lesion, None, None]
    shape = _outline_lesion(traits, textures, lobe, view, axis)

    skin = np.exp(lesions.skin[lesion] + random.normal(0, 0.02, (len(lesion), 3)).astype(np.float32))
    image = skin[:, :, None, None] * np.exp(-_optical_density(traits, textures, shape))  # (B, 3, H, W)
    _blend(image, _rgb(_WHITE), _white_structures(traits, textures, shape))

    _add_hair(image, axis, random)
    _add_ruler(image, axis, random)
    _add_light(image, axis, random)
    _add_colour_cast(image, random)
    _add_defocus(image, random)
    _add_sensor_noise(image, random, noise)
    return np.clip(image * 255 + 0.5, 0, 255).astype(np.uint8).transpose(0, 2, 3, 1)


# --- the lesion -------------------------------------------------------------------------------------------------------


def _draw_view(random: np.random.RandomState, photographs: int) -> View:
    per_photograph = (photographs, 1, 1)
    turn = _uniform(random, 0, 2 * np.pi, per_photograph)
    zoom = np.exp(_normal(random, 0.10, per_photograph))
    return View(turn, zoom, _normal(random, 0.10, per_photograph), _normal(random, 0.10, per_photograph))


def _see_texture(waves: np.ndarray, view: View, axis: np.ndarray) -> np.ndarray:
    """The sum of the waves (B, K, 4) at every pixel, turned, zoomed and shifted with the view: (B, H, W).

    cos(x + y) = cos x cos y - sin x sin y, so K cosines a pixel become one matrix product a photograph.
    """
    along_x, along_y, amplitude, phase = np.split(waves, 4, axis=-1)  # (B, K, 1) each
    cos, sin = np.cos(view.turn), np.sin(view.turn)
    frequency_x = (along_x * cos - along_y * sin) / view.zoom
    frequency_y = (along_x * sin + along_y * cos) / view.zoom
    phase = phase - frequency_x * view.shift_x - frequency_y * view.shift_y
    angle_x = frequency_x * axis + phase  # (B, K, W)
    angle_y = frequency_y * axis  # (B, K, H)
    columns = np.concatenate([np.cos(angle_x), np.sin(angle_x)], axis=1)
    rows = np.concatenate([np.cos(angle_y) * amplitude, -np.sin(angle_y) * amplitude], axis=1)
    return rows.transpose(0, 2, 1) @ columns


def _outline_lesion(
    traits: Traits, textures: Textures, lobe: tuple[np.ndarray, np.ndarray], view: View, axis: np.ndarray
) -> Shape:
    """An ellipse and perhaps a second lobe, with a border bent by texture, and patches left out."""
    x, y = axis[None, None, :] - view.shift_x, axis[None, :, None] - view.shift_y
    cos, sin = np.cos(view.turn) / view.zoom, np.sin(view.turn) / view.zoom
    u, v = cos * x + sin * y, cos * y - sin * x  # the lesion's own coordinates
    stretch = 1 + traits.elongation
    from_centre = np.sqrt((u / stretch) ** 2 + (v * stretch) ** 2) / traits.radius

    lobe_x, lobe_y = lobe[0] * traits.radius, lobe[1] * traits.radius
    lobe_radius = traits.radius * (0.30 + 0.45 * traits.second_lobe)
    from_lobe = np.sqrt((u - lobe_x) ** 2 + (v - lobe_y) ** 2) / lobe_radius
    distance = np.where(traits.second_lobe > 0.3, np.minimum(from_centre, from_lobe), from_centre)
    distance += traits.border_irregularity * (textures.outline * 0.75 + 0.25 * textures.grain)

    inside = _sigmoid((1 - distance) / traits.border_softness * 2.2)
    patches = _sigmoid((textures.clouds * 0.8 + textures.grain * 0.6 + 1.1 - 1.5 * traits.patchiness) * 3)
    inside *= 1 - traits.patchiness * (1 - patches)
    return Shape(distance, inside, core=_sigmoid((0.55 - from_centre) / 0.16))


def _optical_density(traits: Traits, textures: Textures, shape: Shape) -> np.ndarray:
    """What pigments and the skin's own texture take from (red, green, blue): (B, 3, H, W)."""
    tan = traits.tan[:, None]
    melanin_absorption = _rgb(ABSORPTION_TAN_MELANIN) * tan + _rgb(ABSORPTION_DARK_MELANIN) * (1 - tan)
    skin_texture = 0.030 * textures.skin + 0.012 * textures.grain
    return (
        _melanin(traits, textures, shape)[:, None] * melanin_absorption
        + _deep_melanin(traits, textures, shape)[:, None] * _rgb(ABSORPTION_DEEP_MELANIN)
        + _haemoglobin(traits, textures, shape)[:, None] * _rgb(ABSORPTION_HAEMOGLOBIN)
        + skin_texture[:, None] * _rgb((0.6, 1.0, 1.0))
    )


def _melanin(traits: Traits, textures: Textures, shape: Shape) -> np.ndarray:
    """Pigment network, dots and globules; a scar pushes them outwards; freckles around."""
    network = np.exp(-((textures.mesh * 2.2) ** 2))
    globules = _sigmoid((textures.mesh - 1.15) * 7)
    pattern = 1 + 0.75 * traits.variegation * textures.clouds
    pattern += 0.9 * traits.pigment_network * (network - 0.45)
    pattern += 1.3 * traits.globules * (globules - 0.15)
    melanin = traits.melanin * shape.inside * np.clip(pattern, 0.05, 3)

    ring = 0.20 * traits.central_scar * traits.melanin * shape.inside * (1 - shape.core)
    freckles = np.clip(textures.skin * 0.8 + textures.grain * 0.45 - 0.85, 0, 1.5)
    return melanin * (1 - 0.75 * traits.central_scar * shape.core) + ring + 0.30 * traits.sun_damage * freckles


def _deep_melanin(traits: Traits, textures: Textures, shape: Shape) -> np.ndarray:
    """Blue-white veil over the core, blue-grey ovoid nests anywhere inside."""
    clouds = _sigmoid((0.6 * textures.clouds + 0.5 * textures.blobs + 0.1) * 3.5)
    veil = 1.3 * traits.blue_white_veil * shape.inside * clouds * np.sqrt(shape.core)
    nests = 0.75 * traits.ovoid_nests * shape.inside * _sigmoid((textures.blobs - 0.75) * 6)
    return veil + nests


def _haemoglobin(traits: Traits, textures: Textures, shape: Shape) -> np.ndarray:
    """Redness, erythema beyond the border, lacunae and vessels; never below zero."""
    redness = shape.inside * traits.haemoglobin * (1 + 0.35 * traits.variegation * textures.clouds)
    erythema = traits.erythema * _sigmoid((1.35 - shape.distance) / 0.35)
    lacunae = 0.55 * _sigmoid((textures.blobs + 0.1) * 6) - 0.22  # walls between them are paler than the rest
    lacunae = shape.inside * traits.lacunae * lacunae * (0.4 + traits.haemoglobin)
    vessels = 0.55 * traits.vessels * shape.inside * np.exp(-(((textures.grain + 0.25 * textures.blobs) * 3.2) ** 2))
    return np.maximum(redness + erythema + lacunae + vessels + 0.025 * textures.skin, 0)


def _white_structures(traits: Traits, textures: Textures, shape: Shape) -> np.ndarray:
    """Opacity (B, H, W) of milia-like cysts, central scar and scale."""
    cysts = 0.62 * traits.milia_like_cysts * shape.inside * _sigmoid((-textures.mesh - 1.0) * 6)
    scar = 0.42 * traits.central_scar * shape.core * (0.25 + 0.75 * shape.inside) * (0.8 + 0.2 * textures.grain)
    scale = 0.55 * traits.scale * shape.inside * _sigmoid((textures.grain + 0.4 * textures.mesh - 0.95) * 5)
    return np.clip(cysts + scar + scale, 0, 0.85)


# --- the camera: each function changes `image` (B, 3, H, W) in place --------------------------------------------------


def _add_hair(image: np.ndarray, axis: np.ndarray, random: np.random.RandomState) -> None:
    """Hair in about a quarter of the photographs, roughly in one direction, dark or fair."""
    photographs = len(image)
    hairy = random.uniform(size=photographs) < 0.28
    hairs = np.minimum(np.where(hairy, random.poisson(4, photographs) + 1, 0), _MOST_HAIRS)
    angle, offset, bend, width, length = _uniform(random, 0, 1, (5, photographs, _MOST_HAIRS, 1, 1))
    direction = _uniform(random, 0, 2 * np.pi, (photographs, 1, 1, 1))
    angle = direction + (angle - 0.5) * 1.6  # radians
    offset, bend = offset * 2.2 - 1.1, (bend - 0.5) * 0.9
    width, length = 0.005 + 0.011 * width, 0.4 + 1.2 * length  # halves of both, in half widths of the picture

    opacity = np.zeros((photographs, *image.shape[2:]), np.float32)
    for hair in range(hairs.max(initial=0)):
        having = np.flatnonzero(hairs > hair)
        strand = _draw_hair(axis, *(numbers[having, hair] for numbers in (angle, offset, bend, width, length)))
        opacity[having] = np.maximum(opacity[having], strand)
    dark = random.uniform(size=(photographs, 1, 1, 1)) < 0.8
    _blend(image, np.where(dark, _rgb(_DARK_HAIR), _rgb(_FAIR_HAIR)), opacity * 0.85)


def _draw_hair(
    axis: np.ndarray, angle: np.ndarray, offset: np.ndarray, bend: np.ndarray, width: np.ndarray, length: np.ndarray
) -> np.ndarray:
    """Opacity (n, H, W) of one hair in each of n photographs: a parabola; the numbers are (n, 1, 1) each."""
    x, y = axis[None, None, :], axis[None, :, None]
    along, across = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
    from_hair = np.abs(across - offset - bend * along * along)
    blur = 1.2 / len(axis)  # smooths the edge; a hair thinner than this gets paler instead
    line = np.clip((width + blur - from_hair) / (2 * blur), 0, 1) * np.minimum(1, width / blur)
    return line * (np.abs(along - 0.5 * offset) < length)


def _add_ruler(image: np.ndarray, axis: np.ndarray, random: np.random.RandomState) -> None:
    """Ticks along the upper or lower edge of a few photographs."""
    ruled = np.flatnonzero(random.uniform(size=len(image)) < 0.07)
    shape = (len(ruled), 1, 1)
    phase = _uniform(random, 0, 6.28, shape)
    edge = (0.80 + 0.12 * random.uniform(size=shape)).astype(np.float32)
    side = np.where(random.uniform(size=shape) < 0.5, np.float32(1), np.float32(-1))
    ticks = (np.cos(axis * 38 + phase) > 0.86) * _sigmoid((side * axis[None, :, None] - edge) * 60)
    image[ruled] += (_RULER_INK - image[ruled]) * (0.85 * ticks)[:, None]


def _add_light(image: np.ndarray, axis: np.ndarray, random: np.random.RandomState) -> None:
    """Uneven light, darker corners, and the black rim of the lens (vignette) in a tenth of the photographs."""
    shape = (len(image), 1, 1)
    x, y = axis[None, None, :], axis[None, :, None]
    from_centre = np.sqrt(x * x + y * y)
    direction = _uniform(random, 0, 6.28, shape)
    gradient = np.abs(_normal(random, 0.10, shape))
    light = 1 + gradient * (np.cos(direction) * x + np.sin(direction) * y)
    light *= 1 - np.abs(_normal(random, 0.07, shape)) * from_centre**2
    rimmed = random.uniform(size=shape) < 0.10
    rim = np.where(rimmed, _uniform(random, 1.05, 1.4, shape), np.float32(3))  # 3: outside the picture
    light *= 0.06 + 0.94 * _sigmoid((rim - from_centre) * 22)
    image *= light[:, None]


def _add_colour_cast(image: np.ndarray, random: np.random.RandomState) -> None:
    """White balance and exposure."""
    balance = random.normal(0, 0.025, (len(image), 3, 1, 1))
    exposure = random.normal(0, 0.05, (len(image), 1, 1, 1))
    image *= np.exp(balance + exposure).astype(np.float32)


def _add_defocus(image: np.ndarray, random: np.random.RandomState) -> None:
    """A mix with the 3 x 3 binomial blur, in two thirds of the photographs; too coarse for small pictures."""
    strength = 2 * np.clip(_uniform(random, -0.25, 0.5, (len(image), 1, 1, 1)), 0, 0.5)
    if image.shape[-1] <= 48:
        return
    blurred = np.pad(image, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    blurred = 0.25 * blurred[:, :, :-2] + 0.5 * blurred[:, :, 1:-1] + 0.25 * blurred[:, :, 2:]
    blurred = 0.25 * blurred[..., :-2] + 0.5 * blurred[..., 1:-1] + 0.25 * blurred[..., 2:]
    image += (blurred - image) * strength


def _add_sensor_noise(image: np.ndarray, random: np.random.RandomState, noise: np.random.RandomState) -> None:
    level = 0.006 + 0.012 * _uniform(random, 0, 1, (len(image), 1, 1, 1))
    for one, its_level in zip(image, level, strict=True):  # what is drawn for one photograph stays in the cache
        one += noise.standard_normal(one.shape).astype(np.float32) * its_level


# --- small helpers ----------------------------------------------------------------------------------------------------


def _blend(image: np.ndarray, colour: np.ndarray, opacity: np.ndarray) -> None:
    """Lay `colour` (…, 3, 1, 1) over the image (B, 3, H, W), in place, with `opacity` (B, H, W)."""
    image += (colour - image) * opacity[:, None]


def _rgb(colour: tuple[float, float, float]) -> np.ndarray:
    """Shaped (3, 1, 1) to meet an image (B, 3, H, W)."""
    return np.array(colour, np.float32)[:, None, None]


def _sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)), in one array from the first step on."""
    y = np.clip(x, -20, 20)
    y *= 0.5
    np.tanh(y, out=y)
    y *= 0.5
    y += 0.5
    return y


def _uniform(random: np.random.RandomState, low: float, high: float, shape: tuple[int, ...]) -> np.ndarray:
    return random.uniform(low, high, shape).astype(np.float32)


def _normal(random: np.random.RandomState, spread: float, shape: tuple[int, ...]) -> np.ndarray:
    return (spread * random.standard_normal(shape)).astype(np.float32)
