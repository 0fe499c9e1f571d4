"""GTSRB in torchvision's layout, from photographs made here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gridrun import data
from gridrun.data import gtsrb

PUBLISHED = {"N_TRAINING": gtsrb.N_TRAINING, "N_TEST": gtsrb.N_TEST}


@pytest.fixture(autouse=True)
def small_and_own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDRUN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(gtsrb, "N_TRAINING", 3)
    monkeypatch.setattr(gtsrb, "N_TEST", 2)


def photograph(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (30, 40)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three training photographs of two classes, two test photographs."""
    root = tmp_path / "gtsrb" / "GTSRB"
    photograph(root / "Training" / "00000" / "00000_00000.ppm", (255, 0, 0))
    photograph(root / "Training" / "00042" / "00000_00000.ppm", (0, 255, 0))
    photograph(root / "Training" / "00042" / "00000_00001.png", (0, 0, 255))
    (root / "Training" / "00042" / "GT-00042.csv").write_text("Filename;ClassId\n")
    photograph(root / "Final_Test" / "Images" / "00000.ppm", (51, 102, 153), (61, 25))
    photograph(root / "Final_Test" / "Images" / "00001.png", (255, 255, 255))
    table = "Filename;Width;Height;Roi.X1;ClassId\n00000.ppm;61;25;5;16\n00001.ppm;30;40;5;1\n"
    (tmp_path / "gtsrb" / "GT-final_test.csv").write_text(table)
    return tmp_path


def test_photographs_of_any_size_become_50_by_50_and_standardised(folder: Path) -> None:
    images, labels = data.test_images("gtsrb", folder)
    assert images.shape == (2, 3, 50, 50) and labels.tolist() == [16, 1]
    by_hand = (np.array([51, 102, 153]) / 255 - gtsrb.MEAN) / gtsrb.STD
    assert np.allclose(images[0, :, 20, 20], by_hand, atol=1e-6)


def test_training_classes_are_folders(folder: Path) -> None:
    splits = data.load("gtsrb", folder)
    assert splits.train[1].tolist() == [0, 42, 42] and splits.n_classes == 43
    assert splits.train[0][:, :, 0, 0].argmax(1).tolist() == [0, 1, 2]


def test_the_test_images_need_no_training_images(tmp_path: Path, folder: Path) -> None:
    for path in (folder / "gtsrb" / "GTSRB" / "Training").rglob("*.p*"):
        path.unlink()
    assert len(data.test_images("gtsrb", folder)[1]) == 2
    with pytest.raises(FileNotFoundError, match=r"nothing of GTSRB in .*Training: fetch https://.*Training_fixed.zip"):
        data.load("gtsrb", folder)


def test_a_part_of_the_photographs_is_no_data_set_of_the_same_name(folder: Path, monkeypatch) -> None:
    for name, number in PUBLISHED.items():
        monkeypatch.setattr(gtsrb, name, number)
    with pytest.raises(ValueError, match=r"Training has 3 photographs of 26640: fetch https://.*Training_fixed.zip"):
        data.load("gtsrb", folder)
    with pytest.raises(ValueError, match=r"GT-final_test.csv has 2 photographs of 12630"):
        data.test_images("gtsrb", folder)


def test_resizing_is_bilinear_as_pillow_does_it(folder: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (100, 100, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "x.ppm")
    halved = gtsrb.photograph(folder / "x.ppm").transpose(1, 2, 0)[10, 10].astype(float)
    # a triangle of weights 1 3 3 1 over the four pixels around the new one's centre, both ways
    weights = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 64
    by_hand = (pixels[19:23, 19:23] * weights[..., None]).sum((0, 1))
    assert np.abs(halved - by_hand).max() <= 1


def test_a_damaged_photograph_and_a_class_that_there_is_not_are_named(folder: Path) -> None:
    damaged = folder / "gtsrb" / "GTSRB" / "Final_Test" / "Images" / "00001.png"
    damaged.write_bytes(damaged.read_bytes()[:50])
    with pytest.raises(ValueError, match=r"00001\.png cannot be read as an image"):
        data.test_images("gtsrb", folder)
    (folder / "gtsrb" / "GT-final_test.csv").write_text("Filename;ClassId\n00000.ppm;43\n00001.ppm;1\n")
    with pytest.raises(ValueError, match=r"GT-final_test.csv says class '43'; there are 0 to 42"):
        data.test_images("gtsrb", folder)


def test_an_absent_photograph_and_table_are_named_with_their_addresses(folder: Path, tmp_path: Path) -> None:
    (folder / "gtsrb" / "GTSRB" / "Final_Test" / "Images" / "00000.ppm").unlink()
    with pytest.raises(FileNotFoundError, match=r"no 00000\.ppm in .*GTSRB_Final_Test_Images.zip"):
        data.test_images("gtsrb", folder)
    with pytest.raises(FileNotFoundError, match=r"GTSRB_Final_Test_GT.zip.*GRIDRUN_DATA"):
        data.test_images("gtsrb", tmp_path / "nowhere")
