"""One colour, line style and line width for each training method, in every figure."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from typing import Any

OURS = {"beta"}  # the methods of the paper are drawn thick
BY_WORDS = {  # colours told apart by the colour-blind (Okabe and Ito)
    frozenset({"standard"}): "#0072B2",
    frozenset({"awp"}): "#D55E00",
    frozenset({"abcd"}): "#009E73",
    frozenset({"esgd"}): "#999999",
    frozenset({"dropout"}): "#E69F00",
    frozenset({"forward"}): "#CC79A7",
    frozenset({"beta"}): "#56B4E9",
    frozenset({"beta", "forward"}): "#000000",
}
OTHERS = ("#882255", "#117733", "#332288", "#AA4499", "#44AA99", "#999933")
NAMES = (
    "Standard",
    "AWP",
    "ABCD",
    "ESGD",
    "Dropout",
    "Forward Noise",
    "Beta",
    "Forward + Beta",
    "Beta + Forward",
)


def words(method: str) -> frozenset[str]:
    """The methods that a label names, whatever its order and numbers.

    >>> words("Forward Noise + Beta 0.1") == words("Beta + Forward")
    True
    """
    return frozenset(re.findall(r"[a-z]+", method.lower())) - {"noise"}


def color(method: str) -> str:
    """The colour of a method; a method that is not known here has one that follows from its name."""
    known = BY_WORDS.get(words(method))
    return known or OTHERS[zlib.crc32(method.encode()) % len(OTHERS)]


def linestyle(method: str) -> str:
    """Dashed for the adversarial method alone, solid for all others."""
    return "dashed" if words(method) == frozenset({"beta"}) else "solid"


def linewidth(method: str) -> float:
    """In points: 3 for the paper's methods, 1 for all others."""
    return 3.0 if words(method) & OURS else 1.0


class Styles(dict[str, Any]):
    """A dict of the known methods that finds the style of any other method when asked."""

    def __init__(self, known: Mapping[str, Any], find: Any) -> None:
        super().__init__(known)
        self._find = find

    def __missing__(self, method: str) -> Any:
        return self._find(method)


METHOD_COLORS = Styles({name: color(name) for name in NAMES}, color)
METHOD_LINESTYLE = Styles({name: linestyle(name) for name in NAMES}, linestyle)
METHOD_LINEWIDTH = Styles({name: linewidth(name) for name in NAMES}, linewidth)
