"""From the keys of a point to what the science takes: a network, a method, a schedule, a data set."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .. import GridrunError, MissingKey, UsageError, get
from ..data import about
from ..data.copies import PARTIAL, copy_of
from ..data.folders import data_folder
from . import methods, networks

if TYPE_CHECKING:
    from torch import nn

    from ..data.splits import Images, Splits
    from ..training.loop import Schedule
    from ..training.objective import Method

Point = Mapping[str, Any]
ATTACK_KEYS = (
    "attack_size_mismatch",
    "attack_size_constant",
    "initial_std_mismatch",
    "initial_std_constant",
    "n_attack_steps",
    "boundary_loss",
    "p_norm",
    "clamp",
)
METHOD_KEYS = (
    "beta_robustness",
    "treat_as_constant",
    "dropout_prob",
    "dropout_kind",
    "warmup",
    "reg",
)


class MissingData(GridrunError, FileNotFoundError):
    """Files of a data set that have to be fetched first."""


@contextmanager
def mendable() -> Iterator[None]:
    """Errors of the science that a setting can mend, as the one line that the command line prints."""
    try:
        yield
    except FileNotFoundError as error:
        raise MissingData(str(error)) from error
    except ValueError as error:
        if isinstance(error, GridrunError):
            raise
        raise UsageError(str(error)) from error


def select(point: Point, *keys: str) -> dict[str, Any]:
    """These keys of a point, templates filled."""
    return {key: get(point, key) for key in keys}


def network(point: Point) -> nn.Module:
    """The network of a point, its weights drawn by the point's seed."""
    from ..training.seeding import generator

    with mendable():
        stream = generator(get(point, "seed"), "initial weights")
        model = networks.build(point, about(get(point, "dataset")), stream)
    return model.to(get(point, "device"))


def method(point: Point) -> Method:
    """The training method of a point. Raises UsageError for a key that is set and would have no effect."""
    from ..architectures import ARCHITECTURES
    from ..training.adversarial import ParameterAttack
    from ..training.objective import Method

    networks.refuse_foreign(point)
    methods.refuse_unused(point, ARCHITECTURES[get(point, "architecture")].defaults)
    with mendable():
        attack = ParameterAttack(**select(point, *ATTACK_KEYS))
        moved = methods.displacement(point, attack)
        clipping = get(point, "clipping_alpha", 0.0)
        chosen = {**select(point, *METHOD_KEYS), **networks.noise(point), "clipping_alpha": clipping}
        return Method(attack=attack, displacement=moved, **chosen)


def schedule(point: Point) -> Schedule:
    """The epochs, rates and batches of a point."""
    from ..training.loop import Schedule

    with mendable():
        settings = methods.optimizer_settings(point)
        chosen = select(point, "n_epochs", "learning_rate", "batch_size", "optimizer")
        return Schedule(**chosen, optimizer_settings=settings)


def splits(point: Point, device: str | None = None) -> Splits:
    """The data of a point as it is set apart, on its device or another; read once a process."""
    name, data_dir = get(point, "dataset"), get(point, "data_dir", None)
    folder, device = data_dir and str(data_dir), device or get(point, "device")
    copy = copy_of(name, folder)
    with mendable():
        found = _splits(name, folder, get(point, "validation_fraction"), device, copy)
    refuse_another_copy(point, name, copy)
    return found


def refuse_another_copy(point: Point, dataset: str, there: str | None) -> None:
    """Raise UsageError where a point was told to have another part of its data set than is there to be read."""
    told = get(point, "data_copy", None)
    if dataset in PARTIAL and "data_copy" in point and told != there:
        where = data_folder(get(point, "data_dir", None))
        raise UsageError(
            f"data_copy={told!r}, but of {dataset} {where} has {there or 'all'!r}: leave data_copy out, it is found by "
            "itself, or set GRIDRUN_DATA to a folder that has what it says"
        )


def training_splits(point: Point) -> Splits:
    """The data of a point, as many training samples as it says, with their changed copies, which are made anew for each
    training."""
    from ..data.augmentation import augmented

    n_samples, n_copies = get(point, "training_samples", None), get(point, "augmentation", 0)
    with mendable():
        if n_copies == 0:
            return splits(point).with_fewer(n_samples)
        return augmented(splits(point, "cpu").with_fewer(n_samples), n_copies).to(get(point, "device"))


def test_images(point: Point, n_images: int | None = None) -> Images:
    """The test images (or sequences) of a point and labels: so many of them, the classes in proportion, or all."""
    from ..data.splits import some

    with mendable():
        return some(splits(point).test, n_images)


test_images.__test__ = False  # type: ignore[attr-defined]  # a test of nothing, whatever pytest thinks


@functools.lru_cache(maxsize=2)
def _splits(dataset: str, data_dir: str | None, validation_fraction: float, device: str, copy: str | None) -> Splits:
    """`copy` is what is there of the data set: it is read anew when that has changed."""
    from ..data import load

    return load(dataset, data_dir, validation_fraction).to(device)


def trained(point: Point) -> nn.Module:
    """The network of a point at its trained weights, ready to be evaluated.

    Raises UsageError for a point that was changed since, so that it would be another network: what is evaluated is
    stored under the trained one's id.
    """
    if "weights" not in point:
        raise MissingKey("this point has no weights: train it first, run(grid, 'train', store_key='*')('{*}')")
    weights = point["weights"].load()
    networks.refuse_another_form(point, point["weights"].form)
    model = network(point)
    model.load_state_dict(weights)
    return model.eval()


@contextmanager
def reproducible(point: Point) -> Iterator[None]:
    """Torch with as many threads as the point says (sums in another order differ in the last bit), on a GPU with all
    the bits of float32; then as before.

    The number is one of the calling thread: points that are computed side by side do not disturb each other.
    """
    import torch

    cudnn = torch.backends.cudnn
    before, deterministic = torch.get_num_threads(), cudnn.deterministic
    try:
        torch.set_num_threads(get(point, "torch_threads"))
        cudnn.deterministic = True
        with without_tf32():
            yield
    finally:
        torch.set_num_threads(before)
        cudnn.deterministic = deterministic


@contextmanager
def without_tf32() -> Iterator[None]:
    """A GPU's products of float32 with all their bits, then as before."""
    import torch

    backends = (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [backend.allow_tf32 for backend in backends]
    try:
        for backend in backends:
            backend.allow_tf32 = False
        yield
    finally:
        for backend, allowed in zip(backends, before, strict=True):
            backend.allow_tf32 = allowed
