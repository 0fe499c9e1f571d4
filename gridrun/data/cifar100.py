"""CIFAR-100 (Krizhevsky 2009): 50,000 training and 10,000 test images of 32x32 colour pixels, a hundred classes."""

from __future__ import annotations

from .cifar import Cifar

MEAN = (0.5070751592371323, 0.48654887331495095, 0.4409178433670343)  # of the training pixels / 255
STD = (0.2673342858792401, 0.2564384629170883, 0.27615047132568404)

CIFAR100 = Cifar(
    name="cifar100",
    folder="cifar-100-python",
    address="https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
    train={"train": "16019d7e3df5f24257cddd939b257f8d"},
    test={"test": "f0ef6b0ae62326f3e7ffdfab6717acfc"},
    labels="fine_labels",
    n_classes=100,
    mean=MEAN,
    std=STD,
)
load, test_images = CIFAR100.splits, CIFAR100.test_images
