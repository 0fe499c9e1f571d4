"""From the keys of a point to where a method takes its gradient, and how its optimiser is set.

Methods exclude each other, and each owns some keys: what is set beside the method that would read it is refused, so
that no network is stored under a name that says nothing of it.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .. import UsageError, get
from .ranges import Rule

if TYPE_CHECKING:
    from ..training.adversarial import ParameterAttack
    from ..training.displacement import Displacement

Point = Mapping[str, Any]
DISPLACEMENTS = ("awp", "amp", "sam")
OPTIMIZER_KEYS = {  # optimizer -> key of the point -> setting of the optimiser
    "abcd": {"abcd_L": "n_inner", "abcd_etaA": "ascent_rate"},
    "esgd": {
        "esgd_L": "n_inner",
        "esgd_g0": "gamma_0",
        "esgd_g1": "gamma_1",
        "esgd_langevin_lr": "eta",
        "esgd_langevin_beta1": "decay",
        "esgd_eps": "noise",
        "esgd_momentum": "momentum",
    },
}


def _equal(wanted: Any) -> Rule:
    return f"={wanted!r}", lambda value: value == wanted


ON, ABOVE_0 = _equal(True), (" above 0", lambda value: value > 0)
OWNERS: tuple[tuple[str, Rule, tuple[str, ...]], ...] = (  # keys that only count where another is such a value
    ("awp", ON, ("awp_gamma", "awp_perturb_input")),
    ("awp_perturb_input", ON, ("eps_pga", "nb_iter")),
    ("amp", ON, ("amp_eps", "amp_lr", "amp_steps")),
    ("amp_eps", ABOVE_0, ("amp_lr", "amp_steps")),
    ("sam", ON, ("sam_rho", "sam_adaptive")),
    ("beta_robustness", ABOVE_0, ("treat_as_constant",)),
    ("dropout_prob", ABOVE_0, ("dropout_kind",)),
    ("eta_train", ABOVE_0, ("eta_mode",)),
    *(("optimizer", _equal(name), tuple(keys)) for name, keys in OPTIMIZER_KEYS.items()),
)
NEAR = 0.9  # likeness from which an unknown key is taken for a typing error


def displacement(point: Point, attack: ParameterAttack) -> Displacement | None:
    """AWP, AMP or SAM, as the point says; None for the other methods."""
    from ..training.amp import AMP
    from ..training.awp import AWP
    from ..training.sam import SAM

    on = [name for name in DISPLACEMENTS if get(point, name)]
    if len(on) > 1:
        raise UsageError(f"{on[0]}=True and {on[1]}=True are two methods: keep one of them")
    if on == ["awp"]:
        return AWP(attack, get(point, "awp_gamma"), _eps_pga(point), get(point, "nb_iter"))
    if on == ["amp"]:
        eps = get(point, "amp_eps")
        return AMP(eps, get(point, "amp_lr"), get(point, "amp_steps")) if eps else AWP(attack, gamma=1.0)
    return SAM(get(point, "sam_rho"), get(point, "sam_adaptive")) if on else None


def _eps_pga(point: Point) -> float:
    if not get(point, "awp_perturb_input"):
        return 0.0
    if not (eps := get(point, "eps_pga")) > 0:
        raise UsageError(f"eps_pga={eps!r} with awp_perturb_input=True: want the size of the input attack, above 0")
    return eps


def optimizer_settings(point: Point) -> dict[str, Any]:
    """The settings of the point's optimiser, by the names that it has for them."""
    keys = OPTIMIZER_KEYS.get(get(point, "optimizer"), {})
    return {setting: get(point, key) for key, setting in keys.items()}


def refuse_unused(point: Point, defaults: Mapping[str, Any]) -> None:
    """Raise UsageError for a key that is set and that no method of this point reads, or that is nearly a key."""
    if get(point, "beta_robustness") and get(point, "treat_as_constant") and get(point, "boundary_loss") == "madry":
        raise UsageError(
            'treat_as_constant=True leaves boundary_loss="madry" no gradient: '
            "amp=True, with beta_robustness=0, is the gradient at the attacked parameters"
        )
    for key in point:
        near = difflib.get_close_matches(key, defaults, n=1, cutoff=NEAR)
        if key not in defaults and near:
            raise UsageError(f"no setting {key!r}; did you mean {near[0]!r}?")
    for owner, (words, counts), keys in OWNERS:
        for key in keys if owner in defaults and not counts(get(point, owner)) else ():
            if (value := get(point, key)) != defaults[key]:
                way_out = f"leave it at {defaults[key]!r}"
                raise UsageError(f"{key}={value!r} would have no effect without {owner}{words}; {way_out}")
