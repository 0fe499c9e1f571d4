"""What a run says in words: which points are missing, what was reused, what failed."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from . import study
from .outcome import GridrunWarning
from .plan import Miss, Plan

SHOWN = 3  # how many points a message describes
NEAR = 3  # in how many settings the nearest stored point may differ, to be spoken of
HINTS = {  # of settings that are found by themselves: where
    "data_copy": "data_copy is what the data folder ($GRIDRUN_DATA, else data) has",
}


def not_computed(misses: Sequence[Miss], n_points: int) -> str:
    """Which points are missing, why, and what computes them."""
    n = sum(1 + len(miss.twins) for miss in misses)
    plan = misses[0].plan
    name = plan.cached.table if plan.cached else getattr(plan.function, "__name__", "the function")
    stored = list(plan.lookup.dependencies()) if plan.lookup else []
    near = [_from_nearest(_settings(miss), stored) if miss.plan is plan else {} for miss in misses[:SHOWN]]
    described = [_described(miss, misses, other) for miss, other in zip(misses, near)]
    shown = "; ".join(described) + ("; ..." if len(misses) > SHOWN else "")
    found = {key: value for other in near for key, value in other.items() if key in HINTS}
    shown += "".join(f"; {HINTS[key]}, unless named: -{key}={value!r}" for key, value in found.items())
    failures = [text for m in misses if m.plan.lookup and (text := m.plan.lookup.failure(m.key)[1])]
    failed = f"; {len(failures)} of them failed before, with {failures[0]}" if failures else ""
    command = study.command() or "call run() without run_mode"
    return f"{n} of {n_points} points of {name} are not computed ({shown}){failed}; {command} computes them"


def _described(miss: Miss, misses: Sequence[Miss], near: Mapping[str, Any]) -> str:
    """The dependencies of a point that tell it apart from the stored one that is `near` it, and from the others."""
    if miss.plan.lookup is None:
        return f"point {miss.number}"
    mine = _settings(miss)
    others = [_settings(m) for m in misses[:100] if m.plan is miss.plan]
    telling = [k for k, v in mine.items() if k not in near and any(o.get(k) != v for o in others)]
    shown = [f"{k}={mine[k]!r:.40}, stored with {v!r:.40}" for k, v in near.items()]
    shown += [f"{k}={mine[k]!r:.40}" for k in (telling if near or telling else mine)]
    return ", ".join(shown[:6])


def _settings(miss: Miss) -> dict[str, Any]:
    return _short(miss.plan.keying(miss.shape).described(miss.values)) if miss.plan.lookup else {}


def _short(dependencies: Mapping[str, Any]) -> dict[str, Any]:
    """The dependencies by the names that a point has for them."""
    return {key.rpartition(":")[2]: value for key, value in dependencies.items()}


def _from_nearest(mine: Mapping[str, Any], stored: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the stored point that differs least has where it differs, if that is in few settings."""
    others = [other for each in stored if (other := _short(each)).keys() == mine.keys()]
    found = [{k: v for k, v in other.items() if mine[k] != v} for other in others]
    nearest = min(found, key=len, default={})
    return nearest if len(nearest) <= min(NEAR, len(mine) - 1) else {}


def drift(changes: Mapping[str, tuple[Any, Any]]) -> str:
    """Why a point is not computed whose templates mean something else here than in its key.

    >>> drift({"n": (2, 8)})
    'n=2 where this point was asked for, n=8 here: let both places agree, or set n=8 in the point'
    """
    then, now = (", ".join(f"{key}={pair[i]!r}" for key, pair in changes.items()) for i in (0, 1))
    hints = "".join(f" ({HINTS[key]})" for key in changes if key in HINTS)
    return f"{then} where this point was asked for, {now} here{hints}: let both places agree, or set {now} in the point"


def annotated(error: BaseException, n_failed: int, n_points: int) -> BaseException:
    """The first error, with a note of how many points failed like it (where this Python has notes)."""
    if hasattr(error, "add_note") and n_failed and n_points > 1:
        error.add_note(f"{n_failed} of {n_points} points failed, this is the first; the others were finished")
    return error


def say_what_was_reused(plans: Sequence[Plan]) -> None:
    """One line for each function whose results of earlier code were used."""
    for plan in plans:
        if plan.lookup is None or not plan.lookup.reused:
            continue
        reused = plan.lookup.reused
        changes = sorted({name for names in reused for name in names}) or ["its code"]
        warn(
            f"{plan.lookup.cached.table}: {sum(reused.values())} points reuse results of earlier code "
            f"(changed: {', '.join(changes)}); run_mode='force' computes them anew"
        )
        reused.clear()


def warn(text: str) -> None:
    """Tell the user something about results that are used all the same."""
    warnings.warn(text, GridrunWarning, stacklevel=2)
