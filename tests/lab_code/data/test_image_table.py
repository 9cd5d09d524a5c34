import re
from pathlib import Path

import pytest
from PIL import Image

from lab_code.data.image_table import read_image_table
from lab_code.data.lesions import load_lesions, read_folder
from lab_code.errors import LabError


def make_folder(folder: Path, table: str, name: str = "photographs.csv") -> Path:
    for number, image in enumerate(("a/1.jpg", "a/2.png", "b/3.JPG")):
        (folder / image).parent.mkdir(exist_ok=True)
        Image.new("RGB", (20, 16), (number, 50, 50)).save(folder / image)
    (folder / name).write_text(table, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    "table",
    [
        "image,dx,lesion_id\na/1.jpg,nv,L1\na/2.png,nv,L1\nb/3.JPG,mel,L2\n",
        "lesion\tdiagnosis\tfilename\nL1\tnv\ta/1\nL1\tnv\ta/2\nL2\tmel\tb/3\n",
        "\ufeffpath , label, lesion_id\na/1.jpg, nv, L1\na/2.png, nv, L1\nb/3.JPG, mel, L2\n",
    ],
)
def test_a_table_may_name_its_columns_in_several_ways(tmp_path: Path, table: str) -> None:
    lesions = load_lesions(make_folder(tmp_path, table), 16)
    assert lesions.labels.tolist() == [5, 5, 4] and lesions.lesion_ids.tolist() == ["L1", "L1", "L2"]


def test_without_a_lesion_column_every_image_is_its_own(tmp_path: Path) -> None:
    reading = read_image_table(make_folder(tmp_path, "image,dx\na/1.jpg,nv\na/2.png,nv\nnone.jpg,mel\n"))
    assert [p.lesion_id for p in reading.photographs] == ["a/1.jpg", "a/2.png"]
    assert reading.missing == ["none.jpg"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("image,lesion_id\na/1.jpg,L1\n", "no column 'dx'"),
        ("dx\nnv\n", "no column 'image'"),
        ("image,dx\na/1.jpg,wart\n", "line 2: unknown diagnosis 'wart'"),
        ("image,dx\na/1.jpg,nv\na/1.jpg,nv\n", "line 3: image a/1.jpg is already in line 2"),
        ("image,dx,lesion\na/1.jpg,nv,L\na/2.png,mel,L\n", "line 3: lesion L is 'mel' here"),
        ("image,dx\n../outside.jpg,nv\n", "is outside"),
        ("", "found: an empty file"),
    ],
)
def test_a_wrong_table_is_named(tmp_path: Path, table: str, message: str) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "outside.jpg")
    with pytest.raises(LabError, match=message) as caught:
        read_image_table(make_folder(folder, table))
    assert "photographs.csv" in caught.value.message and caught.value.hint


def test_two_tables_are_one_too_many(tmp_path: Path) -> None:
    make_folder(tmp_path, "image,dx\n")
    (tmp_path / "other.csv").write_text("image,dx\n", encoding="utf-8")
    with pytest.raises(LabError, match=r"exactly one table.*other\.csv, photographs\.csv"):
        read_image_table(tmp_path)


def make_layout(folder: Path, images: list[str], tables: dict[str, str]) -> Path:
    """Images of different colours, and tables by their names."""
    for number, name in enumerate(images):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 16), (40 * number, 50, 50)).save(folder / name)
    for name, text in tables.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


ONE_HOT_2018 = "image,MEL,NV,BCC,AKIEC,BKL,DF,VASC\nI1,0.0,1.0,0.0,0.0,0.0,0.0,0.0\nI2,1,0,0,0,0,0,0\n"
ONE_HOT_2019 = (
    "image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK\nI1,0.0,1.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0\n"
    "I2,0,0,0,1,0,0,0,0,0\nI3,0,0,0,0,0,0,0,1.0,0\nI4,0,0,0,0,0,0,0,0,1\n"
)
ISIC_2020 = (
    "image_name,patient_id,sex,age_approx,anatom_site_general_challenge,diagnosis,benign_malignant,target\n"
    "I1,IP_1,male,45,torso,nevus,benign,0\nI2,IP_1,male,45,torso,melanoma,malignant,1\nI3,IP_2,,,,unknown,benign,0\n"
)

# Layout: images, tables, and what is read: (image, lesion, diagnosis), and what must be said about it.
LAYOUTS: dict[str, tuple[list[str], dict[str, str], list[tuple[str, str, str]], str]] = {
    "image_id with lesion_id": (
        ["I1.jpg", "I2.jpg"],
        {"t.csv": "lesion_id,image_id,dx\nL1,I1,nv\nL1,I2,nv\n"},
        [("I1", "L1", "nv"), ("I2", "L1", "nv")],
        "",
    ),
    "image_id without lesion_id": (
        ["images/I1.jpg", "images/I2.webp"],
        {"t.csv": "image_id,dx\nI1,nv\nI2.jpg,mel\n"},
        [("I1", "I1", "nv"), ("I2.jpg", "I2.jpg", "mel")],
        "no column lesion_id",
    ),
    "HAM10000's table without lesion_id": (
        ["HAM10000_images_part_1/I1.jpg"],
        {"HAM10000_metadata.csv": "image_id,dx\nI1,nv\n"},
        [("I1", "I1", "nv")],
        "no column lesion_id",
    ),
    "HAM10000 with a table of another name": (
        ["HAM10000_images_part_1/I1.jpg", "HAM10000_images_part_2/I2.jpg"],
        {"metadata.csv": "lesion_id,image_id,dx\nL1,I1,nv\nL2,I2,mel\n"},
        [("I1", "L1", "nv"), ("I2", "L2", "mel")],
        "",
    ),
    "HAM10000 in a folder inside": (
        ["archive/HAM10000_images_part_1/I1.jpg"],
        {"archive/HAM10000_metadata.csv": "lesion_id,image_id,dx\nL1,I1,nv\n", "archive/hmnist.csv": "label\n1\n"},
        [("I1", "L1", "nv")],
        "",
    ),
    "paths of Windows": (
        ["images/a/I1.Jpg"],
        {"t.tsv": "file\tdiagnosis\nC:\\study\\images\\a\\I1.jpg\tNevus\n"},
        [("C:\\study\\images\\a\\I1.jpg", "C:\\study\\images\\a\\I1.jpg", "nv")],
        "read by name: Nevus as nv",
    ),
    "two columns, of which one names the files": (
        ["img/x.jpg", "img/y.jpg"],
        {"t.csv": "image_id;path;dx\n1;img/x.jpg;nv\n2;img/y.jpg;mel\n"},
        [("img/x.jpg", "img/x.jpg", "nv"), ("img/y.jpg", "img/y.jpg", "mel")],
        "",
    ),
    "two columns of diagnoses": (
        ["I1.jpg"],
        {"t.csv": "image_id,label,dx\nI1,mel,nv\n"},
        [("I1", "I1", "nv")],
        "of the columns dx, label, dx counts",
    ),
    "ISIC 2018": (
        ["Training_Input/I1.jpg", "Training_Input/I2.jpg"],
        {
            "Training_GroundTruth/Training_GroundTruth.csv": ONE_HOT_2018,
            "LesionGroupings.csv": "image,lesion_id,diagnosis_confirm_type\nI1,H1,x\nI2,H2,x\n",
        },
        [("I1", "H1", "nv"), ("I2", "H2", "mel")],
        "lesions are those of LesionGroupings.csv: known for 2 of 2 images",
    ),
    "ISIC 2019": (
        [f"Training_Input/Training_Input/I{number}.jpg" for number in (1, 2, 3, 4)],
        {
            "GroundTruth.csv": ONE_HOT_2019,
            "Metadata.csv": "image,age_approx,anatom_site_general,lesion_id,sex\nI1,,,MSK_1,\nI2,,,,\n",
        },
        [("I1", "MSK_1", "nv"), ("I2", "I2", "akiec")],
        "left out, since HAM10000 has no such diagnosis: 1 of 'SCC', 1 of 'UNK'",
    ),
    "ISIC 2020": (
        ["jpeg/train/I1.jpg", "jpeg/train/I2.jpg", "jpeg/train/I3.jpg", "jpeg/test/I4.jpg"],
        {"train.csv": ISIC_2020, "test.csv": "image_name,patient_id\nI4,IP_9\n"},
        [("I1", "I1", "nv"), ("I2", "I2", "mel")],
        "left out, since HAM10000 has no such diagnosis: 1 of 'unknown'",
    ),
    "columns with blanks and capitals": (
        ["1.jpg", "2.jpg"],
        {"t.csv": "Image ID,Lesion ID,Diagnosis\n1,L1,nv\n2,L1,nv\n"},
        [("1", "L1", "nv"), ("2", "L1", "nv")],
        "",
    ),
    "columns with dashes": (
        ["1.jpg", "2.jpg"],
        {"t.csv": "image-name,lesion-id,dx\n1,L1,nv\n2,L1,nv\n"},
        [("1", "L1", "nv"), ("2", "L1", "nv")],
        "",
    ),
    "columns of R and of programmers": (
        ["1.jpg", "2.jpg"],
        {"t.csv": "# FileName;lesion.Id;DX\n1;L1;nv\n2;L1;nv\n"},
        [("1", "L1", "nv"), ("2", "L1", "nv")],
        "",
    ),
    "lesionID": (["1.jpg"], {"t.csv": "imageID,lesionID,dx\n1,L1,nv\n"}, [("1", "L1", "nv")], ""),
    "HAM10000's table with other spellings": (
        ["HAM10000_images_part_1/I1.jpg"],
        {"HAM10000_metadata.csv": "Lesion ID,Image ID,DX\nL1,I1,nv\n"},
        [("I1", "L1", "nv")],
        "",
    ),
    "patients alone": (
        ["1.jpg", "2.jpg"],
        {"t.csv": "image,dx,patient_id\n1,nv,P1\n2,mel,P1\n"},
        [("1", "1", "nv"), ("2", "2", "mel")],
        "not used: patient_id; photographs that share it may be on both sides of a split",
    ),
    "a column that looks like lesions": (
        ["1.jpg"],
        {"t.csv": "image,dx,lesion_number\n1,nv,7\n"},
        [("1", "1", "nv")],
        "not used: lesion_number;",
    ),
    "patients beside lesions": (
        ["1.jpg"],
        {"t.csv": "image,dx,lesion_id,Case No,lesion_size\n1,nv,L1,4,3 mm\n"},
        [("1", "L1", "nv")],
        "not used: Case No;",
    ),
    "unknown lesions": (
        [f"{number}.jpg" for number in range(7)],
        {"t.csv": "image,dx,lesion_id\n0,nv,L1\n1,nv,NA\n2,mel,NA\n3,nv,nan\n4,mel,None\n5,nv,\n6,nv,L1\n"},
        [
            ("0", "L1", "nv"),
            *((f"{n}", f"{n}", "mel" if n in (2, 4) else "nv") for n in range(1, 6)),
            ("6", "L1", "nv"),
        ],
        "lesion_id is unknown for 5 photographs: each counts as a lesion of its own",
    ),
    "an unknown lesion whose image is called as another lesion": (
        ["1.jpg", "2.jpg"],
        {"t.csv": "image,dx,lesion_id\n1,nv,2\n2,mel,\n"},
        [("1", "2", "nv"), ("2", "image 2", "mel")],
        "unknown for 1 photographs",
    ),
    "ISIC's archive": (
        ["I1.jpg", "I2.jpg", "I3.jpg", "I4.jpg"],
        {
            "metadata.csv": "isic_id,diagnosis_1,diagnosis_3,lesion_id,patient_id\nI1,Benign,Nevus,IL_1,IP_1\n"
            'I2,Malignant,"Melanoma, NOS",,IP_2\nI3,Benign,,IL_3,\nI4,Benign,Nevus,,\n'
        },
        [("I1", "IL_1", "nv"), ("I2", "I2", "mel"), ("I4", "I4", "nv")],
        "left out, since diagnosis_3 is empty there: 1",
    ),
    "unknown diagnoses": (
        ["1.jpg", "2.jpg", "3.jpg"],
        {"t.csv": "image,dx,lesion_id\n1,NaN,L\n2,nv,L\n3,,L\n"},
        [("2", "L", "nv")],
        "left out, since dx is empty there: 2",
    ),
    "one-hot in words": (
        ["1.jpg", "2.jpg"],
        {"t.csv": "image,mel,nv\n1,True,False\n2,FALSE,TRUE\n"},
        [("1", "1", "mel"), ("2", "2", "nv")],
        "",
    ),
    "one-hot with blanks and exponents": (
        ["1.jpg", "2.jpg", "3.jpg"],
        {"t.csv": "image;mel;nv\n1;1e0;\n2;0e0;1,0\n3;;1.000e+00\n"},
        [("1", "1", "mel"), ("2", "2", "nv"), ("3", "3", "nv")],
        "",
    ),
    "dx and the same one-hot": (
        ["1.jpg", "2.jpg"],
        {"t.csv": "image,dx,mel,nv\n1,nevus,0,1\n2,mel,1,0\n"},
        [("1", "1", "nv"), ("2", "2", "mel")],
        "of the columns dx, mel, nv, dx counts",
    ),
    "dx and probabilities": (
        ["1.jpg", "2.jpg"],
        {"t.csv": "image,dx,mel,nv\n1,nv,0.8,0.2\n2,mel,1,0\n"},
        [("1", "1", "nv"), ("2", "2", "mel")],
        "of the columns dx, mel, nv, dx counts",
    ),
    "PAD-UFES-20": (
        ["imgs_part_1/PAT_1.png"],
        {"metadata.csv": "patient_id,lesion_id,diagnostic,img_id\nPAT_1,7,ACK,PAT_1.png\n"},
        [("PAT_1.png", "7", "akiec")],
        "read by name: ACK as akiec",
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_that_people_have_are_read_as_such(tmp_path: Path, layout: str) -> None:
    images, tables, expected, note = LAYOUTS[layout]
    reading = read_folder(make_layout(tmp_path, images, tables))
    assert [(p.image_id, p.lesion_id, p.dx) for p in reading.photographs] == expected and not reading.missing
    assert note in "\n".join(reading.notes)


TWO = ["1.jpg", "2.jpg"]


@pytest.mark.parametrize(
    ("images", "tables", "message", "hint"),
    [
        (TWO, {}, "no metadata table in .* \\(2 images\\)", "a .csv with the columns image, dx"),
        (TWO, {"photos.xlsx": ""}, "no metadata table", "save photos.xlsx as CSV"),
        ([], {"archive.zip": ""}, "no metadata table", "unpack archive.zip"),
        ([], {"dermamnist.npz": ""}, "no metadata table", "name the file itself: .*dermamnist.npz"),
        ([], {"IMG_1.HEIC": ""}, "no metadata table", "IMG_1.HEIC cannot be read: save the images as"),
        (["HAM10000_images_part_1/1.jpg"], {}, "no metadata table", "must hold HAM10000_metadata.csv"),
        (TWO, {"t.csv": "image,dx\n1,nv\n", "u.csv": "image,dx\n1,nv\n"}, "exactly one table", "keep the one"),
        (TWO, {"t.csv": "image_name,target\n1,1\n"}, "no column 'dx' \\(found: image_name, target", "dx or diagnosis"),
        (TWO, {"t.csv": "image,diagnosis\n1,benign\n"}, "line 2: unknown diagnosis 'benign'", "only whether it is"),
        (TWO, {"t.csv": "image,label\n1,4\n"}, "line 2: unknown diagnosis '4'", "instead of a number"),
        (TWO, {"t.csv": "image,dx\n1,mleanoma\n"}, "line 2: unknown diagnosis", "'melanoma'?"),
        (TWO, {"t.csv": "image,MEL,NV\n1,1,1\n"}, "line 2: not exactly one diagnosis is 1", "one column is 1"),
        (TWO, {"t.csv": "image,MEL,NV\n1,0,0\n"}, "line 2: not exactly one .*found: none", "one column is 1"),
        (TWO, {"t.csv": "image,MEL,NV\n1,0.9,0.1\n"}, "line 2: not exactly one diagnosis is 1", "one column is 1"),
        (TWO, {"t.csv": "image,dx\n1,nv\n1.jpg,mel\n"}, "line 3: image 1.jpg is already in line 2, named 1", "remove"),
        (TWO, {"t.csv": "image,dx\n9,nv\n9.JPG,mel\n"}, "line 3: image 9.JPG is already in line 2, named 9", "remove"),
        (TWO, {"t.csv": "image,dx\na/1,nv\n1,mel\n"}, "line 3: image 1 is already in line 2, named a/1", "remove"),
        (TWO, {"t.csv": "image,dx,IMAGE\n1,nv,2\n"}, "columns 1 and 3 are both named", "rename or remove"),
        (["1.jpg", "1.png"], {"t.csv": "image,dx\n1,nv\n"}, "image 1 is in both .*1.jpg and .*1.png", "remove one"),
        (TWO, {"t.csv": "image,dx\n1,\n2,NA\n"}, "gives no image one of the 7", "known: akiec"),
        (TWO, {"t.csv": "image,lesion-id,lesion_id,dx\n1,a,b,nv\n"}, "columns 2 and 3 are both named 'lesion_id' or 'l",
         "rename or remove"),
        (TWO, {"t.csv": "image,MEL,NV\n1,yes,\n2,,2\n"}, "line 3: not exactly one .*found: NV 2", "one column is 1"),
        (TWO, {"t.csv": "image,MEL,NV\n1,,\n"}, "line 2: not exactly one .*found: none", "one column is 1"),
        (TWO, {"t.csv": "image,dx,MEL,NV\n1,nv,0,1\n2,mel,0,1\n"}, "line 3: dx is 'mel', but .* is NV", "or remove"),
        (TWO, {"t.csv": "image,label,melanoma,nevus\n1,Nevus,True,\n"}, "line 2: label is 'Nevus', but", "or remove"),
        (TWO, {"t.csv": "# mine\nimage,dx\n1,nv\n"}, "line 2 has 2 cells", "if line 2 names .*remove what is above"),
        (TWO, {"t.csv": "# mine, 2021\nimage,dx,x\n1,nv,\n"}, "line 2 has 3 cells", "if line 2 names .*remove"),
        (TWO, {"t.csv": "My study,,\nimage,dx,x\n1,nv,\n"}, "no column 'image'", "line 2 looks like the names"),
        (TWO, {"t.csv": "My study;2021\n\nImage ID;Diagnosis\n1;nv\n"}, "no column 'image'", "line 3 looks like"),
        (TWO, {"t.csv": "# mine\nimage;dx\n1;nv\n"}, "no column 'image'", "line 2 looks like the names"),
        (TWO, {"t.csv": "My study\nDate: today\nfile\tdx\n1\tnv\n"}, "no column 'image'", "line 3 looks like"),
        (TWO, {"t.txt": "image\tdx\n1\tnv\n", "readme.txt": "a, b\nc"}, "no metadata table", "rename t.txt to t.csv"),
        (TWO, {"t.csv.gz": ""}, "no metadata table", "unpack t.csv.gz"),
        (TWO, {"t.csv.zip": ""}, "no metadata table", "unpack t.csv.zip"),
        (TWO, {"t.tar.xz": ""}, "no metadata table", "unpack t.tar.xz"),
        (["mel/1.jpg", "nv/2.jpg"], {"patients.csv": "patient,age\n1,2\n"}, "patients.csv, which does not name images",
         "move patients.csv away"),
        (["mel/1.jpg", "nv/2.jpg"], {"a.csv": "image,age\n1,2\n", "b.csv": "x\n"}, "diagnoses, and a.csv, b.csv, which",
         "move a.csv, b.csv away"),
        (["all/mel/1.jpg", "all/nv/2.jpg"], {"readme.csv": "a,b\n1,2\n"}, "readme.csv, which does not name images",
         "name the folder inside it.*/all$"),
        (["train/mel/1.jpg", "train/nv/2.jpg", "test/mel/3.jpg", "test/nv/4.jpg"], {}, "no metadata table",
         "in test, train together, since the kit divides by itself; or name one of them: .*/t"),
        (["x/Train/mel/1.jpg", "x/Train/nv/2.jpg", "x/Valid/nv/5.jpg", "x/Valid/mel/3.jpg", "x/Train/nv/4.jpg"], {},
         "no metadata table", "in Train, Valid together, .*: .*/Train$"),
        (["x/y/mel/1.jpg", "x/y/nv/2.jpg"], {}, "no metadata table", "name the folder inside it: .*/x/y$"),
        (TWO, {"t.csv": "image,dx\n,nv\n"}, "line 2: image is empty", "fill it in"),
        (TWO, {"t.csv": "image,dx\n..\\1.jpg,nv\n"}, "is outside", "copy it into the folder"),
    ],
)  # fmt: skip
def test_what_is_refused_names_what_would_work(
    tmp_path: Path, images: list[str], tables: dict[str, str], message: str, hint: str
) -> None:
    with pytest.raises(LabError, match=message) as caught:
        read_folder(make_layout(tmp_path, images, tables))
    assert re.search(hint, caught.value.hint or "") and str(tmp_path) in caught.value.message


@pytest.mark.parametrize(
    ("images", "hint"),
    [
        (["2.jpg"], r"put 1\.jpg into .*, or remove its line"),
        (["IMG_1.jpg"], r"the table says '1', but the images are named like 'IMG_1\.jpg'"),
        (["2.jpg", "1.HEIC"], r"1\.HEIC is there: save it as"),
        ([], r"put 1\.jpg into"),
    ],
)
def test_missing_images_name_what_comes_nearest(tmp_path: Path, images: list[str], hint: str) -> None:
    readable = [name for name in images if not name.endswith("HEIC")]
    folder = make_layout(tmp_path, readable, {"t.csv": "image,dx\n1,nv\n2,mel\n"})
    for name in set(images) - set(readable):
        (folder / name).write_bytes(b"a telephone's")
    with pytest.raises(LabError, match=r"named in .*t\.csv are missing: 1") as caught:
        load_lesions(folder, 16)
    assert re.search(hint, caught.value.hint or "")


@pytest.mark.parametrize("name", ["photographs.csv", "photographs.zip"])
def test_a_file_is_no_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("image,dx\n", encoding="utf-8")
    with pytest.raises(LabError, match="is a file") as caught:
        read_folder(tmp_path / name)
    assert str(tmp_path) in (caught.value.hint or "")
