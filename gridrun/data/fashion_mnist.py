"""Fashion-MNIST (Xiao, Rasul, Vollgraf 2017; MIT licence): 60,000 training and 10,000 test images of 28x28
grey pixels.

Its four IDX files are read from `FashionMNIST/raw` under the data folder (torchvision's layout), gzipped or
not, checked by MD5, and kept decoded for the next time.
"""

from __future__ import annotations

from .idx_images import IdxImages

ADDRESS = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
MEAN, STD = 0.2860, 0.3530  # of the training pixels / 255

FILES = {  # part: name, MD5 of the gzipped file as published, MD5 of the plain file
    "train_images": (
        "train-images-idx3-ubyte",
        "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "f4a8712d7a061bf5bd6d2ca38dc4d50a",
    ),
    "train_labels": (
        "train-labels-idx1-ubyte",
        "25c81989df183df01b3e8a0aad5dffbe",
        "9018921c3c673c538a1fc5bad174d6f9",
    ),
    "test_images": (
        "t10k-images-idx3-ubyte",
        "bef4ecab320f06d8554ea6380940ec79",
        "8181f5470baa50b63fa0f6fddb340f0a",
    ),
    "test_labels": (
        "t10k-labels-idx1-ubyte",
        "bb300cfdad3c16e7a12a480ee83cd310",
        "15d484375f8d13e6eb1aabb0c3f46965",
    ),
}

FASHION_MNIST = IdxImages("fashion_mnist", "FashionMNIST", ADDRESS, FILES, MEAN, STD)
load, test_images, raw_folder = FASHION_MNIST.splits, FASHION_MNIST.test_images, FASHION_MNIST.raw_folder
