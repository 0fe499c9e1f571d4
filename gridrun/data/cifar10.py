"""CIFAR-10 (Krizhevsky 2009): 50,000 training and 10,000 test images of 32x32 colour pixels, ten classes."""

from __future__ import annotations

from .cifar import Cifar

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)  # as the published networks were run

CIFAR10 = Cifar(
    name="cifar10",
    folder="cifar-10-batches-py",
    address="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    train={
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    },
    test={"test_batch": "40351d587109b95175f43aff81a1287e"},
    labels="labels",
    n_classes=10,
    mean=MEAN,
    std=STD,
)
load, test_images = CIFAR10.splits, CIFAR10.test_images
