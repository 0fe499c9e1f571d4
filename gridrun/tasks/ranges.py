"""What each key of a point, and each argument of an evaluation, may be, so that what cannot be is one line before
anything is computed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from math import isfinite
from numbers import Integral, Real
from typing import Any

from .. import UsageError, get

Point = Mapping[str, Any]
Rule = tuple[str, Callable[[Any], bool]]  # in words, and as a test


def is_number(value: Any) -> bool:
    """A finite number, which True is not.

    >>> is_number(2), is_number(True), is_number("1e-3"), is_number(float("nan"))
    (True, False, False, False)
    """
    return isinstance(value, Real) and not isinstance(value, bool) and isfinite(value)


def is_whole(value: Any) -> bool:
    return is_number(value) and isinstance(value, Integral)


def whole(least: int) -> Rule:
    return f"a whole number, {least} or more", lambda value: is_whole(value) and value >= least


def one_of(*names: str) -> Rule:
    return " or ".join(f'"{name}"' for name in names), lambda value: isinstance(value, str) and value in names


def listed(rule: Rule) -> Rule:
    words, holds = rule
    return f"a list, each {words}", lambda value: isinstance(value, (list, tuple)) and all(map(holds, value))


def or_none(rule: Rule) -> Rule:
    words, holds = rule
    return f"None, or {words}", lambda value: value is None or holds(value)


def is_padding(value: Any) -> bool:
    """As `nn.cnn.paddings` takes it.

    >>> [is_padding(value) for value in (1, [[2, 1], 0], -1, [1.5, 0], "1", [[1, 2, 3]])]
    [True, True, False, False, False, False]
    """
    entries = value if isinstance(value, (list, tuple)) else [value]
    pairs = [entry if isinstance(entry, (list, tuple)) else (entry, entry) for entry in entries]
    return all(len(pair) == 2 and all(map(COUNT[1], pair)) for pair in pairs)


SIZE: Rule = ("a number, 0 or more", lambda value: is_number(value) and value >= 0)
POSITIVE: Rule = ("a number above 0", lambda value: is_number(value) and value > 0)
PART: Rule = ("a number, 0 or more and below 1", lambda value: is_number(value) and 0 <= value < 1)
SHARE: Rule = ("a number above 0, 1 at the most", lambda value: is_number(value) and 0 < value <= 1)
SWITCH: Rule = ("True or False", lambda value: isinstance(value, bool))
WHOLE: Rule = ("a whole number", is_whole)
NAME: Rule = ("a name", lambda value: isinstance(value, str))  # of a table that says what there is
COUNT, FROM_ONE = whole(0), whole(1)
PADDING: Rule = (f"{COUNT[0]}, or a list: such a number or [before, after] for each convolution", is_padding)
DEVICE: Rule = (
    '"cpu", "cuda", or a GPU as "cuda:0"',
    lambda value: isinstance(value, str) and re.fullmatch(r"cpu|cuda(:\d+)?", value) is not None,
)
RULES: dict[str, Rule] = {
    **dict.fromkeys(("batch_size", "torch_threads", "n_hidden", "n_blocks", "width", "kernel_size"), FROM_ONE),
    **dict.fromkeys(("nb_iter", "amp_steps", "abcd_L", "esgd_L"), FROM_ONE),
    **dict.fromkeys(("n_attack_steps", "warmup", "augmentation"), COUNT),
    **dict.fromkeys(("beta_robustness", "noisy_forward_std", "reg", "eta_train", "clipping_alpha"), SIZE),
    **dict.fromkeys(("esgd_g0", "esgd_g1", "esgd_eps", "beta", "refr", "dampening_factor"), SIZE),
    **dict.fromkeys(("sam_rho", "amp_lr", "abcd_etaA", "esgd_langevin_lr"), POSITIVE),
    **dict.fromkeys(("dt", "tau", "tau_adaptation", "thr"), POSITIVE),
    **dict.fromkeys(("attack_size_mismatch", "attack_size_constant", "eps_pga", "amp_eps"), SIZE),
    **dict.fromkeys(("initial_std_mismatch", "initial_std_constant"), SIZE),
    **dict.fromkeys(("dropout_prob", "validation_fraction", "esgd_langevin_beta1", "esgd_momentum"), PART),
    **dict.fromkeys(("clamp", "treat_as_constant", "awp", "awp_perturb_input", "amp", "sam", "sam_adaptive"), SWITCH),
    **dict.fromkeys(("dataset", "optimizer", "boundary_loss", "dropout_kind", "eta_mode"), NAME),
    "batch_standardize": SWITCH,
    "seed": WHOLE,
    "awp_gamma": SHARE,
    "p_norm": (f"{one_of('inf', '2')[0]}, as text", one_of("inf", "2")[1]),
    "padding": PADDING,
    "device": DEVICE,
    "n_epochs": listed(COUNT),
    "learning_rate": listed(POSITIVE),
    "channels": listed(FROM_ONE),
    "hidden": listed(FROM_ONE),
    "training_samples": or_none(FROM_ONE),
    "checkpoint": one_of("final", "best"),
}
ARGUMENTS: dict[str, Rule] = {  # a table of its own: evaluations are computed anew when their rules change
    **dict.fromkeys(("level", "std", "size", "attack_size", "attack_size_constant", "seconds"), SIZE),
    **dict.fromkeys(("n_repeats", "n_starts", "n_directions"), FROM_ONE),
    **dict.fromkeys(("steps", "n_random"), COUNT),
    **dict.fromkeys(("is_compensated", "per_channel"), SWITCH),
    "n_points": whole(2),
    "n_images": or_none(FROM_ONE),
    "noise_seed": WHOLE,
}


def check(point: Point) -> None:
    """Raise UsageError for a setting that cannot be.

    >>> check({"batch_size": 0})
    Traceback (most recent call last):
    gridrun.errors.UsageError: batch_size=0: want a whole number, 1 or more
    """
    for key, rule in RULES.items():
        if key in point:
            _check(key, get(point, key), rule)
    if get(point, "checkpoint", "final") == "best" and not get(point, "validation_fraction", 0.0):
        raise UsageError('checkpoint="best" needs validation samples: set validation_fraction above 0')
    if (device := get(point, "device", "cpu")) != "cpu":
        _check_gpu(device)


def check_validation(point: Point, validation: object | None) -> None:
    """Raise UsageError where the best epoch is to be kept and nothing is set aside for validation."""
    if validation is None and get(point, "checkpoint") == "best":
        fraction = get(point, "validation_fraction")
        raise UsageError(f'validation_fraction={fraction!r} sets no sample aside, and checkpoint="best" needs some')


def check_arguments(**arguments: Any) -> None:
    """Raise UsageError for an argument of an evaluation that cannot be.

    >>> check_arguments(attack_size=0.1, steps=0)
    Traceback (most recent call last):
    gridrun.errors.UsageError: steps=0: want a whole number, 1 or more
    """
    for name, value in arguments.items():
        _check(name, value, ARGUMENTS[name])
    if any(arguments.get(size) for size in ("attack_size", "attack_size_constant")):
        _check("steps", arguments["steps"], FROM_ONE)


def _check(name: str, value: Any, rule: Rule) -> None:
    words, holds = rule
    if not holds(value):
        raise UsageError(f"{name}={value!r}: want {words}")


def _check_gpu(device: str) -> None:
    import torch

    n = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if n == 0:
        raise UsageError(f"device={device!r}: torch finds no GPU here; device='cpu' is the default")
    if int(device.partition(":")[2] or 0) >= n:
        raise UsageError(f"device={device!r}: torch finds GPUs up to 'cuda:{n - 1}' here")
