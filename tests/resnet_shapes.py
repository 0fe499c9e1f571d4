"""The layers of the small residual networks for 32x32 images, written down apart from the code that builds them."""

from __future__ import annotations


def resnet(depth: int, n_classes: int = 10) -> dict[str, tuple[int, ...]]:
    """The shapes by hand: 3 stages of (depth - 2) / 6 blocks, 16, 32 and 64 planes (He et al. 2016)."""
    shapes: dict[str, tuple[int, ...]] = {"conv1": (16, 3, 3, 3)}
    before = 16
    for stage, planes in enumerate((16, 32, 64), 1):
        for block in range((depth - 2) // 6):
            shapes[f"layer{stage}.{block}.conv1"] = (planes, before, 3, 3)
            shapes[f"layer{stage}.{block}.conv2"] = (planes, planes, 3, 3)
            before = planes
    return {**shapes, "linear": (n_classes, 64)}
