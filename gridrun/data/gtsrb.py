"""GTSRB (Stallkamp, Schlipsing, Salmen, Igel, IJCNN 2011): photographs of 43 German traffic signs, here 50x50 pixels.

Read in torchvision's layout: `gtsrb/GTSRB/Training/00000/*.ppm` (26,640 images), and `gtsrb/GTSRB/Final_Test/Images`
with `gtsrb/GT-final_test.csv` (12,630 images). PPM and PNG alike, by Pillow, resized bilinearly as the published
networks were run. Another number of photographs is refused: it would be another data set by the same name.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from .folders import data_folder, md5_of
from .prepared import Arrays, prepared
from .splits import Images, Splits, colours, validation_split

SIDE, N_CLASSES = 50, 43
N_TRAINING, N_TEST = 26_640, 12_630
MEAN, STD = (0.3403, 0.3121, 0.3214), (0.2724, 0.2608, 0.2669)
ADDRESS = "https://sid.erda.dk/public/archives/daaeac0d7ce1152aea9b61d9f1e19370/"
SUFFIXES = (".ppm", ".png")

Listed = list[tuple[Path, int]]  # files and their classes


def load(data_dir: str | Path | None = None, validation_fraction: float = 0.0) -> Splits:
    """Images (n, 3, 50, 50), standardised; photographs of one sign stand together in the training images."""
    train, validation = validation_split(_images(training_files(data_dir)), validation_fraction)
    return Splits(train, validation, test_images(data_dir), N_CLASSES)


def test_images(data_dir: str | Path | None = None) -> Images:
    """The test images alone; the training files need not be there."""
    return _images(test_files(data_dir))


def training_files(data_dir: str | Path | None) -> Listed:
    """Each training photograph with its class, which its folder names."""
    folder = data_folder(data_dir) / "gtsrb" / "GTSRB" / "Training"
    found = sorted(path for path in folder.glob("[0-9]*/*") if path.suffix.lower() in SUFFIXES)
    if not found:
        raise _absent(folder, "GTSRB-Training_fixed.zip")
    _check_number(found, N_TRAINING, folder, "GTSRB-Training_fixed.zip")
    return [(path, _class(path.parent.name, path)) for path in found]


def test_files(data_dir: str | Path | None) -> Listed:
    """Each test photograph with its class, as the columns Filename and ClassId of GT-final_test.csv have it."""
    root = data_folder(data_dir) / "gtsrb"
    table, folder = root / "GT-final_test.csv", root / "GTSRB" / "Final_Test" / "Images"
    if not table.is_file():
        raise _absent(root, "GTSRB_Final_Test_GT.zip")
    with open(table, newline="") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    if not rows or not {"Filename", "ClassId"} <= rows[0].keys():
        raise ValueError(f"{table} has no columns Filename and ClassId by semicolons")
    _check_number(rows, N_TEST, table, "GTSRB_Final_Test_GT.zip")
    return [(_photograph(folder, row["Filename"]), _class(row["ClassId"], table)) for row in rows]


def _check_number(found: Sequence[object], published: int, where: Path, archive: str) -> None:
    if len(found) != published:
        raise ValueError(f"{where} has {len(found)} photographs of {published}: fetch {ADDRESS}{archive} again")


def _photograph(folder: Path, name: str) -> Path:
    """The file, or the PNG of it; nothing outside its folder."""
    for path in (folder / Path(name).name, (folder / Path(name).name).with_suffix(".png")):
        if path.is_file():
            return path
    raise FileNotFoundError(f"no {name} in {folder.resolve()}: fetch {ADDRESS}GTSRB_Final_Test_Images.zip")


def _class(text: str, where: Path) -> int:
    if not text.isdigit() or int(text) >= N_CLASSES:
        raise ValueError(f"{where} says class {text!r}; there are 0 to {N_CLASSES - 1}")
    return int(text)


def _absent(folder: Path, archive: str) -> FileNotFoundError:
    return FileNotFoundError(
        f"nothing of GTSRB in {folder.resolve()}: fetch {ADDRESS}{archive}, "
        "or set data_dir or GRIDRUN_DATA to a folder in torchvision's layout"
    )


def _images(files: Listed) -> Images:
    sizes = ((path, path.stat(), label) for path, label in files)
    stamp = "\n".join(f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns} {label}" for path, stat, label in sizes)
    arrays = prepared(f"gtsrb/1/{md5_of(stamp.encode())}", ["pixels", "labels"], lambda: read(files))
    return colours(arrays["pixels"], MEAN, STD), torch.from_numpy(arrays["labels"].astype(np.int64))


def read(files: Listed) -> Arrays:
    """Pixels (n, 3, 50, 50) uint8 and labels (n,) uint8, straight from the files."""
    pixels = np.stack([photograph(path) for path, _ in files])
    return {"pixels": pixels, "labels": np.array([label for _, label in files], dtype=np.uint8)}


def photograph(path: Path) -> np.ndarray:
    """One image as (3, 50, 50) uint8; a damaged file is a ValueError that names it."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            small = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read as an image: {error}") from error
    return np.asarray(small).transpose(2, 0, 1)
