"""MNIST (LeCun, Bottou, Bengio, Haffner 1998): 60,000 training and 10,000 test images of handwritten digits."""

from __future__ import annotations

from .idx_images import IdxImages

MEAN, STD = 0.1307, 0.3081  # of the training pixels / 255

MNIST = IdxImages(
    name="mnist",
    folder="MNIST",
    address="https://ossci-datasets.s3.amazonaws.com/mnist/",  # PyTorch's copy: LeCun's own page refuses programs
    files={
        "train_images": (
            "train-images-idx3-ubyte",
            "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "6bbc9ace898e44ae57da46a324031adb",
        ),
        "train_labels": (
            "train-labels-idx1-ubyte",
            "d53e105ee54ea40749a09fcbcd1e9432",
            "a25bea736e30d166cdddb491f175f624",
        ),
        "test_images": (
            "t10k-images-idx3-ubyte",
            "9fb629c4189551a2d022fa330f9573f3",
            "2646ac647ad5339dbf082846283269ea",
        ),
        "test_labels": (
            "t10k-labels-idx1-ubyte",
            "ec29112dd5afa0611ce80d1b7f02629c",
            "27ae3e4e09519cfbb04c329615203637",
        ),
    },
    mean=MEAN,
    std=STD,
)
load, test_images = MNIST.splits, MNIST.test_images
