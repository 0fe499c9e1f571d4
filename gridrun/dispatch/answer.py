"""What a scheduler's command said."""

from __future__ import annotations

from typing import NamedTuple


class Answer(NamedTuple):
    """What a command said; `telling` is a word that marks the line that tells most.

    >>> Answer(1, "", "sbatch: error: Memory\\nsbatch: error: Batch job submission failed: too much").line
    'sbatch: error: Batch job submission failed: too much'
    """

    status: int
    out: str
    err: str
    telling: str = "failed"

    @property
    def line(self) -> str:
        """The one line that tells most, for a person."""
        said = [line.strip() for line in f"{self.err}\n{self.out}".splitlines() if line.strip()]
        marked = [line for line in said if self.telling in line.lower()]
        return (marked or said or [f"exit status {self.status}, without a word"])[0]
