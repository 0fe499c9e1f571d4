"""From the keys of a point to its network: which class an architecture is, and which keys shape it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from .. import UsageError, get
from ..errors import nearest

if TYPE_CHECKING:
    import torch
    from torch import nn

    from ..data import About

Point = Mapping[str, Any]
NEURON_KEYS = ("dt", "tau", "tau_adaptation", "thr", "beta", "refr", "dampening_factor")
FORM_KEYS = (  # what a trained network is evaluated as
    *("architecture", "dataset", "data_copy", "channels", "kernel_size", "padding", "hidden", "batch_standardize"),
    *("n_hidden", *NEURON_KEYS, "n_blocks", "width"),
)
OF_SPIKING = {  # keys of spiking networks that all architectures have: (the value that changes nothing, why)
    "n_hidden": (256, "only the LSNNs have a recurrent layer; a CNN's dense layers are set by hidden"),
    "reg": (0.001, "only the LSNNs have firing rates"),
}


def build(point: Point, data: About, generator: torch.Generator) -> nn.Module:
    """The network of a point for the samples and classes of its data, its weights drawn from `generator`.

    Raises UsageError for an architecture that there is not, and for a key that would have no effect; ValueError for
    what the network itself refuses.
    """
    name = get(point, "architecture")
    if name not in BUILDERS:
        raise UsageError(f"no architecture {name!r}; {nearest(name, BUILDERS)}")
    if BUILDERS[name] is not _lsnn:
        _refuse(point, OF_SPIKING)
    model = BUILDERS[name](point, data, generator)
    model.dropout_masks(get(point, "dropout_prob"), 1, _unused(), get(point, "dropout_kind"))
    return model


def form(point: Point) -> dict[str, Any]:
    """The keys of a point that shape its network and its data, as JSON has them.

    >>> form({"channels": (4, 8), "seed": 3})
    {'channels': [4, 8]}
    """
    return json.loads(json.dumps({key: get(point, key) for key in FORM_KEYS if key in point}, default=str))


def refuse_another_form(point: Point, trained: Mapping[str, Any]) -> None:
    """Raise UsageError where a point would be evaluated as another network, or on other data, than was `trained`."""
    now = form(point)
    for key, value in trained.items():
        if now.get(key) != value:
            raise UsageError(f"{key}={now.get(key)!r}, but this network was trained with {value!r}: train it so first")


def refuse_foreign(point: Point) -> None:
    """Raise UsageError for a key of a point that is one of other architectures, since nothing would read it."""
    from ..architectures import ARCHITECTURES

    own = ARCHITECTURES[get(point, "architecture")]
    for key in point:
        owners = [other.name for other in ARCHITECTURES.values() if key in other.defaults]
        if owners and key not in own.defaults:
            raise UsageError(f"{own.name} has no key {key!r}, it is one of {', '.join(owners)}: nothing would read it")


def _cnn(point: Point, data: About, generator: torch.Generator) -> nn.Module:
    from ..nn.cnn import CNN

    keys = ("channels", "kernel_size", "padding", "hidden", "batch_standardize")
    return CNN(data.image_shape, data.n_classes, **_select(point, *keys), generator=generator)


def _lsnn(point: Point, data: About, generator: torch.Generator) -> nn.Module:
    from ..nn.lsnn import LSNN
    from ..nn.spiking import Neurons

    neurons = Neurons(**_select(point, *NEURON_KEYS))
    return LSNN(data.sample_shape, data.n_classes, get(point, "n_hidden"), neurons, generator)


def _resnet(point: Point, data: About, generator: torch.Generator) -> nn.Module:
    from ..nn.resnet_trained import TrainedResNet

    return TrainedResNet(data.image_shape, data.n_classes, **_select(point, "n_blocks", "width"), generator=generator)


Builder = Callable[[Point, "About", "torch.Generator"], "nn.Module"]
BUILDERS: dict[str, Builder] = {
    "digits_cnn": _cnn,
    "cnn": _cnn,
    "ecg_lsnn": _lsnn,
    "speech_lsnn": _lsnn,
    "resnet32": _resnet,
}


def noise(point: Point) -> dict[str, Any]:
    """How forward noise is set in a point: by noisy_forward_std, or by a ResNet's eta_train and eta_mode."""
    std, eta = get(point, "noisy_forward_std"), get(point, "eta_train", 0.0)
    if std and eta:
        raise UsageError(f"noisy_forward_std={std!r} and eta_train={eta!r} are both forward noise: keep one of them")
    return {"noisy_forward_std": eta or std, "noise_scale": get(point, "eta_mode", "ind") if eta else "ind"}


def _select(point: Point, *keys: str) -> dict[str, Any]:
    return {key: get(point, key) for key in keys}


def _refuse(point: Point, no_effect: Mapping[str, tuple[Any, str]]) -> None:
    for key, (neutral, why) in no_effect.items():
        if (value := get(point, key, neutral)) != neutral:
            raise UsageError(f"{key}={value!r} would have no effect: {why}; leave it at {neutral!r}")


def _unused() -> torch.Generator:
    import torch

    return torch.Generator()
