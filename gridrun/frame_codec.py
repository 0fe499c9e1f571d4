"""Data frames as plain parts (columns of arrays or lists) and back."""

from __future__ import annotations

from typing import Any

from .errors import UnstorableResult


def frame_parts(value: Any, path: str) -> dict[str, Any]:
    """A DataFrame or Series as a dict of arrays and lists.

    Raises UnstorableResult if rebuilding it would not give an equal frame (a MultiIndex, columns of objects).
    """
    import pandas as pd

    frame = value if isinstance(value, pd.DataFrame) else value.to_frame("values")
    if isinstance(frame.index, pd.MultiIndex) or isinstance(frame.columns, pd.MultiIndex):
        raise UnstorableResult(f"{path} has a MultiIndex; return it with reset_index()")
    index: Any = frame.index
    parts = {
        "names": list(frame.columns),
        "columns": [_column(frame.iloc[:, i]) for i in range(frame.shape[1])],
        "index": [index.start, index.stop, index.step] if isinstance(index, pd.RangeIndex) else _column(index),
        "index_name": index.name,
        "name": getattr(value, "name", None),
    }
    rebuilt = frame_from(type(value).__name__, parts)
    if not _same(rebuilt, value):
        raise UnstorableResult(f"{path} is a {type(value).__name__} that plain columns do not hold; return a dict")
    return parts


def _same(one: Any, other: Any) -> bool:
    import pandas as pd

    check = pd.testing.assert_frame_equal if isinstance(one, pd.DataFrame) else pd.testing.assert_series_equal
    try:
        check(one, other, check_freq=False)
    except AssertionError:
        return False
    return True


def _column(column: Any) -> dict[str, Any]:
    """One column (a Series or an Index) by its dtype and plain values."""
    import numpy as np
    import pandas as pd

    dtype = column.dtype
    if isinstance(dtype, np.dtype) and dtype.kind in "biufcmM":
        return {"dtype": dtype.str, "values": column.to_numpy()}
    if isinstance(dtype, pd.CategoricalDtype):
        codes = column.cat.codes if isinstance(column, pd.Series) else column.codes
        return {
            "dtype": "category",
            "values": np.asarray(codes),
            "categories": _column(dtype.categories),
            "ordered": bool(dtype.ordered),
        }
    plain = [None if v is pd.NA or v is pd.NaT or v != v else v for v in column.astype(object).tolist()]
    return {"dtype": str(dtype), "values": [v.isoformat() if isinstance(v, pd.Timestamp) else v for v in plain]}


def frame_from(kind: str, parts: dict[str, Any]) -> Any:
    """The DataFrame or Series of `parts`."""
    import pandas as pd

    index = parts["index"]
    rows = pd.RangeIndex(*index) if isinstance(index, list) else pd.Index(_values(index))
    rows.name = parts["index_name"]
    series = [pd.Series(_values(c), index=rows) for c in parts["columns"]]
    frame = pd.concat(series, axis=1) if series else pd.DataFrame(index=rows)
    frame.columns = pd.Index(parts["names"]) if parts["names"] else frame.columns
    if kind == "DataFrame":
        return frame
    column = frame.iloc[:, 0]
    column.name = parts["name"]
    return column


def _values(column: dict[str, Any]) -> Any:
    import pandas as pd

    if column["dtype"] == "category":
        categories = _values(column["categories"])
        return pd.Categorical.from_codes(column["values"], categories=categories, ordered=column["ordered"])
    if column["dtype"] == "object":
        return pd.array(column["values"], dtype=object)
    return pd.array(column["values"], dtype=column["dtype"])
