"""Decoding and its cache: the second start decodes nothing, and nothing stale is ever used."""

import os
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lab_code.data import photographs as module
from lab_code.data.photographs import (
    CACHE_FOLDER,
    decode_and_digest,
    decode_photograph,
    decode_photographs,
    open_photograph,
)
from lab_code.data.table import Photograph
from lab_code.errors import LabError
from lab_code.files import sha256_file


def make_photographs(folder: Path, count: int = 5) -> list[Photograph]:
    made = []
    for number in range(count):
        path = folder / f"I{number}.png"
        Image.new("RGB", (24, 20), (10 * number, 100, 200)).save(path)
        made.append(Photograph(f"I{number}", f"L{number}", "nv", path, {}))
    return made


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are really decoded."""
    names: list[str] = []

    def decode(path: Path, size: int) -> tuple[np.ndarray, str]:
        names.append(path.name)
        return decode_and_digest(path, size)

    monkeypatch.setattr(module, "decode_and_digest", decode)
    return names


def test_a_second_start_decodes_nothing_and_gives_the_same(tmp_path: Path, decoded: list[str]) -> None:
    photographs = make_photographs(tmp_path)
    first, _, _ = decode_photographs(photographs, 16, tmp_path)
    assert len(decoded) == 5
    second, _, faults = decode_photographs(photographs, 16, tmp_path)
    assert len(decoded) == 5 and not faults
    assert np.array_equal(first, second) and second.dtype == np.uint8


def test_only_what_is_new_is_decoded(tmp_path: Path, decoded: list[str]) -> None:
    decode_photographs(make_photographs(tmp_path, 3), 16, tmp_path)
    decode_photographs(make_photographs(tmp_path, 5), 16, tmp_path)
    assert sorted(decoded) == ["I0.png", "I1.png", "I2.png", "I3.png", "I4.png"]


def test_a_changed_file_is_decoded_again_even_with_its_old_name_and_size(tmp_path: Path, decoded: list[str]) -> None:
    photographs = make_photographs(tmp_path)
    decode_photographs(photographs, 16, tmp_path)
    Image.new("RGB", (24, 20), (11, 100, 200)).save(photographs[0].path)
    os.utime(photographs[0].path, ns=(0, 12345))
    images, _, _ = decode_photographs(photographs, 16, tmp_path)
    assert decoded[5:] == ["I0.png"] and images[0, 0, 0, 0] == 11


def test_a_copied_folder_is_recognised_by_content(tmp_path: Path, decoded: list[str]) -> None:
    photographs = make_photographs(tmp_path)
    decode_photographs(photographs, 16, tmp_path)
    for photograph in photographs:
        os.utime(photograph.path, ns=(0, 777))
    decode_photographs(photographs, 16, tmp_path)
    assert len(decoded) == 5


def test_files_of_one_name_in_two_folders_are_kept_apart(tmp_path: Path) -> None:
    for number, part in enumerate(("a/x", "b/x")):
        (tmp_path / part).mkdir(parents=True)
        Image.new("RGB", (24, 20), (number, 0, 0)).save(tmp_path / part / "I.bmp")
        os.utime(tmp_path / part / "I.bmp", ns=(0, 1))
    photographs = [Photograph(part, part, "nv", tmp_path / part / "I.bmp", {}) for part in ("a/x", "b/x")]
    for _ in range(2):
        images, _, _ = decode_photographs(photographs, 16, tmp_path)
        assert images[:, 0, 0, 0].tolist() == [0, 1]


def test_every_size_has_its_own_cache(tmp_path: Path) -> None:
    photographs = make_photographs(tmp_path)
    assert decode_photographs(photographs, 16, tmp_path)[0].shape == (5, 16, 16, 3)
    assert decode_photographs(photographs, 20, tmp_path)[0].shape == (5, 20, 20, 3)
    assert len(list((tmp_path / CACHE_FOLDER).iterdir())) == 2


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 cut off", "half"])
def test_a_damaged_cache_is_made_again(tmp_path: Path, damage: bytes | str) -> None:
    photographs = make_photographs(tmp_path)
    before, _, _ = decode_photographs(photographs, 16, tmp_path)
    (cache,) = (tmp_path / CACHE_FOLDER).iterdir()
    content = cache.read_bytes()
    cache.write_bytes(content[: len(content) // 2] if damage == "half" else damage)
    after, _, _ = decode_photographs(photographs, 16, tmp_path)
    assert np.array_equal(before, after) and cache.read_bytes() == content


def test_a_folder_that_cannot_be_written_works_without_a_cache(tmp_path: Path) -> None:
    photographs = make_photographs(tmp_path)
    (tmp_path / CACHE_FOLDER).write_text("in the way", encoding="utf-8")
    images, _, faults = decode_photographs(photographs, 16, tmp_path)
    assert len(images) == 5 and not faults


def test_faults_are_given_by_index_and_never_cached(tmp_path: Path) -> None:
    photographs = make_photographs(tmp_path)
    good = photographs[2].path.read_bytes()
    photographs[2].path.write_bytes(b"text called .png")
    for _ in range(2):
        images, _, faults = decode_photographs(photographs, 16, tmp_path)
        assert list(faults) == [2] and not images[2].any()
    photographs[2].path.write_bytes(good)
    assert not decode_photographs(photographs, 16, tmp_path)[2]


def test_a_gigantic_picture_is_refused_without_decoding_it(tmp_path: Path) -> None:
    path = tmp_path / "huge.png"
    Image.new("1", (20_000, 20_000)).save(path)
    with pytest.raises(LabError, match=r"huge\.png has too many pixels"):
        decode_photograph(path, 16)


# Pictures as programs and cameras write them, and the colour that somebody sees in the middle.
def png(path: Path, bits: int, channels: tuple[int, ...], transparent: tuple[int, ...] = ()) -> None:
    """A PNG of one colour, which Pillow cannot write: 1 channel is grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha."""
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[len(channels)]
    pixels = "".join(f"{value:0{bits}b}" for value in channels) * 24
    line = b"\0" + int(pixels, 2).to_bytes(len(pixels) // 8, "big")

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 24, 24, bits, kind, 0, 0, 0)
    clear = chunk(b"tRNS", struct.pack(f">{len(transparent)}H", *transparent)) if transparent else b""
    body = chunk(b"IHDR", header) + clear + chunk(b"IDAT", zlib.compress(line * 24)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


def tiff(path: Path, bits: int, colours: tuple[int, ...], kind: int | None = 1, numbers: int = 1) -> None:
    """A TIFF of one colour, little-endian; `kind` is its PhotometricInterpretation, `numbers` its SampleFormat."""
    pixels = "".join(f"{value:0{bits}b}" for value in colours) * 24 * 24
    content = int(pixels, 2).to_bytes(len(pixels) // 8, "big")
    if bits == 16:
        content = b"".join(struct.pack(f"<{len(colours)}H", *colours) for _ in range(24 * 24))
    count = len(colours)
    tags = {256: [24], 257: [24], 258: [bits] * count, 259: [1], 262: [kind], 273: [400], 277: [count], 278: [24],
            279: [len(content)], 339: [numbers] * count}  # fmt: skip
    tags = {tag: values for tag, values in tags.items() if values != [None]}
    directory, extra, place = struct.pack("<H", len(tags)), b"", 8 + 2 + 12 * len(tags) + 4
    for tag, values in sorted(tags.items()):
        data = struct.pack(f"<{len(values)}H", *values)
        if len(data) > 4:
            data, extra = struct.pack("<I", place + len(extra)), extra + data
        directory += struct.pack("<HHI", tag, 3, len(values)) + data.ljust(4, b"\0")
    whole = b"II*\0" + struct.pack("<I", 8) + directory + b"\0" * 4 + extra
    path.write_bytes(whole.ljust(400, b"\0") + content)


def write_png(*how: object):
    return lambda path: png(path, *how)


def write_tiff(*how: object):
    return lambda path: tiff(path, *how)


def save(mode: str, colour: object, **how: object):
    return lambda path: Image.new(mode, (24, 24), colour).save(path, **how)


def save_palette(path: Path) -> None:
    picture = Image.new("P", (24, 24), 1)
    picture.putpalette([0, 0, 0, 255, 0, 0])
    picture.save(path, transparency=1)


KINDS = {
    "16-bit grey PNG": (write_png(16, (30_000,)), "png", (117, 117, 117)),
    "16-bit RGB PNG": (write_png(16, (60_000, 30_000, 300)), "png", (234, 117, 1)),
    "16-bit RGB PNG, half transparent": (write_png(16, (40_000, 0, 0, 32_768)), "png", (205, 127, 127)),
    "16-bit grey and alpha PNG": (write_png(16, (30_000, 0)), "png", (255, 255, 255)),
    "1-bit PNG, transparent white": (write_png(1, (1,), (1,)), "png", (255, 255, 255)),
    "1-bit PNG, transparent black": (write_png(1, (0,), (0,)), "png", (255, 255, 255)),
    "1-bit PNG, the other is transparent": (write_png(1, (0,), (1,)), "png", (0, 0, 0)),
    "2-bit PNG": (write_png(2, (2,)), "png", (170, 170, 170)),
    "2-bit PNG, transparent": (write_png(2, (2,), (2,)), "png", (255, 255, 255)),
    "2-bit PNG, another is transparent": (write_png(2, (2,), (1,)), "png", (170, 170, 170)),
    "4-bit PNG, transparent": (write_png(4, (8,), (8,)), "png", (255, 255, 255)),
    "4-bit PNG, another is transparent": (write_png(4, (8,), (7,)), "png", (136, 136, 136)),
    "8-bit PNG, transparent": (write_png(8, (100,), (100,)), "png", (255, 255, 255)),
    "8-bit RGB PNG, transparent": (write_png(8, (9, 8, 7), (9, 8, 7)), "png", (255, 255, 255)),
    "16-bit grey PNG, dark": (write_png(16, (4_200,)), "png", (16, 16, 16)),
    "16-bit RGB PNG, one channel alone": (write_png(16, (0, 0, 4_200)), "png", (0, 0, 16)),
    "4-bit TIFF": (write_tiff(4, (8,)), "tif", (136, 136, 136)),
    "8-bit TIFF": (write_tiff(8, (77,)), "tif", (77, 77, 77)),
    "8-bit TIFF, 0 is white": (write_tiff(8, (77,), 0), "tif", (178, 178, 178)),
    "1-bit TIFF, 0 is white": (write_tiff(1, (0,), 0), "tif", (255, 255, 255)),
    "16-bit RGB TIFF": (write_tiff(16, (60_000, 30_000, 300), 2), "tif", (234, 117, 1)),
    "16-bit grey TIFF": (lambda path: Image.fromarray(np.full((24, 24), 30_000, "u2")).save(path), "tif", (117,) * 3),
    "RGBA, transparent": (save("RGBA", (255, 0, 0, 0)), "png", (255, 255, 255)),
    "RGBA, half": (save("RGBA", (255, 0, 0, 128)), "png", (255, 127, 127)),
    "RGBA, opaque": (save("RGBA", (9, 8, 7, 255)), "png", (9, 8, 7)),
    "RGBA WebP": (save("RGBA", (255, 0, 0, 0), lossless=True), "webp", (255, 255, 255)),
    "LA, transparent": (save("LA", (10, 0)), "png", (255, 255, 255)),
    "RGB with a transparent colour": (save("RGB", (255, 0, 0), transparency=(255, 0, 0)), "png", (255, 255, 255)),
    "palette": (save("P", 0), "png", (0, 0, 0)),
    "palette with transparency": (save_palette, "png", (255, 255, 255)),
    "transparent GIF": (save_palette, "gif", (255, 255, 255)),
    "grey": (save("L", 77), "jpg", (77, 77, 77)),
    "one bit": (save("1", 1), "png", (255, 255, 255)),
    "CMYK JPEG": (save("CMYK", (255, 0, 0, 0)), "jpg", (0, 255, 255)),
    "CMYK TIFF": (save("CMYK", (255, 0, 0, 0)), "tif", (0, 255, 255)),
    "BMP": (save("RGB", (9, 8, 7)), "bmp", (9, 8, 7)),
    "PNG called .jpg": (save("RGB", (9, 8, 7), format="PNG"), "jpg", (9, 8, 7)),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_pixels_of_every_kind_become_what_people_see(tmp_path: Path, kind: str) -> None:
    write, ending, colour = KINDS[kind]
    path = tmp_path / f"picture.{ending}"
    write(path)
    assert np.abs(decode_photograph(path, 16)[8, 8].astype(int) - colour).max() <= 2


@pytest.mark.parametrize(("orientation", "corner"), [(1, 0), (2, 1), (3, 3), (4, 2), (5, 0), (6, 1), (7, 3), (8, 2)])
@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tif"])
def test_a_photograph_is_turned_as_its_camera_was_held(
    tmp_path: Path, orientation: int, corner: int, ending: str
) -> None:
    picture = Image.new("RGB", (32, 32), "white")
    picture.paste((0, 0, 0), (0, 0, 16, 16))
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture.save(tmp_path / f"p.{ending}", exif=exif)
    pixels = decode_photograph(tmp_path / f"p.{ending}", 32)
    corners = [pixels[7, 7], pixels[7, 24], pixels[24, 7], pixels[24, 24]]
    assert int(np.argmin([each.sum() for each in corners])) == corner


def write_animation(path: Path) -> None:
    Image.new("RGB", (24, 24)).save(path, save_all=True, append_images=[Image.new("RGB", (24, 24), "red")])


def cut_off(path: Path) -> None:
    Image.effect_noise((64, 64), 90).convert("RGB").save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


REFUSED = {
    "float TIFF": (save("F", 0.5), "tif", "pixels of the kind 'F'", "8 bits a channel"),
    "32-bit TIFF": (save("I", 70_000), "tif", "pixels of the kind 'I'", "8 bits a channel"),
    "12-bit TIFF": (write_tiff(12, (2000,)), "tif", "has 12 bits a channel", "8 bits a channel"),
    "16-bit TIFF, 0 is white": (write_tiff(16, (30_000,), 0), "tif", "of which 0 is white", "8 bits a channel"),
    "16-bit TIFF that does not say": (write_tiff(16, (30_000,), None), "tif", "0 is white", "8 bits a channel"),
    "8-bit signed TIFF": (write_tiff(8, (100,), 1, 2), "tif", "signed or floating", "8 bits a channel"),
    "16-bit signed TIFF": (write_tiff(16, (100,), 1, 2), "tif", "pixels of the kind 'I'", "8 bits a channel"),
    "16-bit grey TIFF, 12 used": (write_tiff(16, (4095,)), "tif", "at most 12 are used", "8 bits a channel"),
    "16-bit RGB TIFF, 12 used": (write_tiff(16, (4095, 9, 9), 2), "tif", "at most 12 are used", "8 bits a channel"),
    "16-bit CMYK TIFF, 12 used": (write_tiff(16, (4095, 0, 9, 9), 5), "tif", "at most 12 are used", "8 bits"),
    "16-bit grey PNG, 12 used": (write_png(16, (4095,)), "png", "at most 12 are used", "8 bits a channel"),
    "16-bit RGB PNG, 10 used": (write_png(16, (1000, 900, 800)), "png", "at most 12 are used", "8 bits a channel"),
    "16-bit grey and alpha PNG, 12 used": (write_png(16, (4000, 65_535)), "png", "at most 12 are used", "8 bits"),
    "16-bit RGBA PNG, 12 used": (write_png(16, (9, 9, 4000, 65_535)), "png", "at most 12 are used", "8 bits"),
    "16-bit grey PNG, transparent": (write_png(16, (30_000,), (30_000,)), "png", "one colour that is", "8 bits"),
    "16-bit RGB PNG, transparent": (write_png(16, (60_000, 0, 0), (60_000, 0, 0)), "png", "one colour that", "8 bits"),
    "GIF with two pictures": (write_animation, "gif", "holds 2 pictures", "as .png"),
    "PNG with two pictures": (write_animation, "png", "holds 2 pictures", "as .png"),
    "WebP with two pictures": (write_animation, "webp", "holds 2 pictures", "as .png"),
    "TIFF with two pages": (write_animation, "tif", "holds 2 pictures", "as .png"),
    "JPEG cut off": (cut_off, "jpg", "not a readable photograph", "copy the file again"),
    "PNG cut off": (cut_off, "png", "not a readable photograph", "copy the file again"),
    "TIFF cut off": (cut_off, "tif", "not a readable photograph", "copy the file again"),
    "WebP cut off": (cut_off, "webp", "not a readable photograph", "copy the file again"),
    "empty": (lambda path: path.write_bytes(b""), "jpg", "not a readable photograph: it is empty", "copy the file"),
    "text": (lambda path: path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0"), "jpg", "not a readable", "copy the file"),
    "a folder": (lambda path: path.mkdir(), "jpg", "not a readable photograph", "copy the file again"),
    "8000 x 8000": (lambda path: Image.new("1", (8000, 8000)).save(path), "png", "8000 x 8000 pixels", "resize it"),
    "10000 x 10000": (lambda path: Image.new("1", (10_000, 10_000)).save(path), "png", "pixels", "resize it"),
    "1 x 70000": (lambda path: Image.new("1", (1, 70_000)).save(path), "png", "1 x 70000 pixels", "resize it"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_would_not_become_the_picture_is_refused_by_name(tmp_path: Path, kind: str) -> None:
    write, ending, message, hint = REFUSED[kind]
    path = tmp_path / f"picture.{ending}"
    write(path)
    with pytest.raises(LabError, match=message) as caught:
        decode_photograph(path, 16)
    assert str(path) in caught.value.message and hint in (caught.value.hint or "")


def test_a_telephones_second_smaller_copy_is_no_second_picture(tmp_path: Path) -> None:
    copy = Image.new("RGB", (8, 8), "red")
    Image.new("RGB", (24, 24), "lime").save(tmp_path / "p.jpg", format="MPO", save_all=True, append_images=[copy])
    assert np.abs(decode_photograph(tmp_path / "p.jpg", 16)[8, 8].astype(int) - (0, 255, 0)).max() <= 2


def test_nothing_that_a_file_carries_beside_its_pixels_is_kept(tmp_path: Path) -> None:
    Image.new("RGB", (24, 24)).save(tmp_path / "p.jpg", comment=b"Ada Lovelace, born 1815")
    assert open_photograph(tmp_path / "p.jpg").info == {}


def test_a_file_that_cannot_be_opened_is_a_fault_of_its_own(tmp_path: Path, monkeypatch) -> None:
    photographs = make_photographs(tmp_path, 3)

    def refuse(path: Path) -> str:
        if path.name == "I1.png":
            raise PermissionError(13, "Permission denied")
        return sha256_file(path)

    monkeypatch.setattr(module, "sha256_file", refuse)
    _, _, faults = decode_photographs(photographs, 16, tmp_path)
    assert list(faults) == [1] and "I1.png cannot be read: Permission denied" in faults[1].message


def write_texture(folder: Path, name: str = "a.jpg", width: int = 320, **how: object) -> Path:
    """A picture so large that it is decoded smaller than it is."""
    random = np.random.RandomState(0).randint(0, 256, (60, 80, 3), dtype=np.uint8)
    Image.fromarray(random).resize((width, 240)).save(folder / name, quality=95, **how)
    return folder / name


def write_again(path: Path, name: str, **how: object) -> Path:
    with Image.open(path) as picture:
        picture.save(path.parent / name, **how)
    return path.parent / name


# A second file of the same pixels, and files that differ from the first.
COPIES = {
    "the same bytes": (lambda a: Path(shutil.copy(a, a.parent / "b.jpg")), True),
    "saved as PNG": (lambda a: write_again(a, "b.png"), True),
    "saved as BMP": (lambda a: write_again(a, "b.bmp"), True),
    "saved as TIFF": (lambda a: write_again(a, "b.tif"), True),
    "saved as WebP without loss": (lambda a: write_again(a, "b.webp", lossless=True), True),
    "with a comment": (lambda a: write_texture(a.parent, "b.jpg", comment=b"copy"), True),
    "saved again with loss": (lambda a: write_again(a, "b.jpg", quality=60), False),
    "another width": (lambda a: write_texture(a.parent, "b.jpg", width=322), False),
}


@pytest.mark.parametrize("kind", COPIES)
def test_a_picture_is_known_again_whatever_its_file_is(tmp_path: Path, kind: str) -> None:
    copy, is_same = COPIES[kind]
    first = write_texture(tmp_path)
    photographs = [Photograph(path.name, path.name, "nv", path, {}) for path in (first, copy(first))]
    for _ in range(2):  # the second time from the cache
        _, pictures, _ = decode_photographs(photographs, 16, tmp_path)
        assert (pictures[0] == pictures[1]) is is_same and all(pictures)
