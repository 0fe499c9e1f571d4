"""What a run says in words: which points are missing, what was reused, what failed."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from . import study
from .outcome import GridrunWarning
from .plan import Miss, Plan

SHOWN = 3  # how many points a message describes


def not_computed(misses: Sequence[Miss], n_points: int) -> str:
    """Which points are missing, why, and what computes them."""
    n = sum(1 + len(miss.twins) for miss in misses)
    plan = misses[0].plan
    name = plan.cached.table if plan.cached else getattr(plan.function, "__name__", "the function")
    shown = "; ".join(_described(miss, misses) for miss in misses[:SHOWN]) + ("; ..." if len(misses) > SHOWN else "")
    failures = [text for m in misses if m.plan.lookup and (text := m.plan.lookup.failure(m.key)[1])]
    failed = f"; {len(failures)} of them failed before, with {failures[0]}" if failures else ""
    command = study.command() or "call run() without run_mode"
    return f"{n} of {n_points} points of {name} are not computed ({shown}){failed}; {command} computes them"


def _described(miss: Miss, misses: Sequence[Miss]) -> str:
    """The dependencies of a point that tell it apart from the others."""
    if miss.plan.lookup is None:
        return f"point {miss.number}"
    others = [m.plan.keying(m.shape).described(m.values) for m in misses[:100] if m.plan is miss.plan]
    mine = miss.plan.keying(miss.shape).described(miss.values)
    telling = {k: v for k, v in mine.items() if any(o.get(k) != v for o in others)} or mine
    return ", ".join(f"{k.rpartition(':')[2]}={v!r:.40}" for k, v in list(telling.items())[:6])


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
