"""A grid as a tidy table: data for pandas, text, CSV, Markdown, and LaTeX with the best values in bold.

>>> grid = [{"p": p, "acc": acc} for p, acc in [(0.0, 0.98), (0.1, 0.9), (0.1, 0.94)]]
>>> print(Table(grid, "p", "acc", labels={"p": "Crash probability", "acc": "Accuracy"}).markdown(decimals=3))
| Crash probability | Accuracy |
| --- | ---: |
| 0.0 | 0.980 |
| 0.1 | 0.920 ± 0.028 |
"""

from .axes import Computed as Computed
from .axes import Deviation as Deviation
from .axes import Label as Label
from .cells import Cell as Cell
from .core import Table as Table
