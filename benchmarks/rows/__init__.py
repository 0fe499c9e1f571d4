"""The rows of the table, in its order; one module for each subject."""

from . import algebra, array, dependencies, dispatch, hits, imports, misses, one_call, tensor, together

SUBJECTS = (hits, one_call, dependencies, misses, array, tensor, imports, together, dispatch, algebra)
ROWS = {row.name: row for subject in SUBJECTS for row in subject.ROWS}
