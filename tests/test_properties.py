"""What holds for every value: templates, keys, grids, results and damaged files, on examples nobody chose."""

from __future__ import annotations

import itertools
import math
import string
from pathlib import Path
from typing import Any

import numpy as np
import programs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from gridrun import configure, make_unique, query, reduce_keys, split
from gridrun.codec import decode_result, encode_result
from gridrun.errors import DamagedFile, GridrunError, MissingKey, StoreError, TemplateError
from gridrun.hashing import key
from gridrun.segments import RESULT, NewRecord, SegmentReader, SegmentWriter, _read_whole
from gridrun.template import format_template, has_template

bounded = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
fewer = settings(bounded, max_examples=60)

names = st.text(string.ascii_lowercase, min_size=1, max_size=3)
texts = st.text(max_size=12)
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts, st.binary(max_size=8))
hashable = st.one_of(scalars, st.tuples(scalars, scalars), st.frozensets(st.integers(0, 9), max_size=3))
values = st.recursive(
    st.one_of(
        scalars,
        st.complex_numbers(),
        st.dates(),
        st.datetimes().map(lambda t: t.replace(fold=0)),
        st.timedeltas(),
        st.sets(st.integers()),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.tuples(inner, inner), st.dictionaries(hashable, inner, max_size=4)
    ),
    max_leaves=12,
)
dtypes = st.one_of(
    npst.scalar_dtypes().filter(lambda d: d.kind not in "O"),
    npst.byte_string_dtypes(max_len=5),
    npst.unicode_string_dtypes(max_len=5),
)
arrays = npst.arrays(dtypes, npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5))


def twin(value: Any) -> Any:
    """An equal value of the same types, made anew, in another order where order does not count."""
    if isinstance(value, dict):
        return {twin(k): twin(v) for k, v in reversed(value.items())}
    if isinstance(value, (list, tuple)):
        return type(value)(twin(v) for v in value)
    if isinstance(value, (set, frozenset)):
        return type(value)(sorted(value, key=repr, reverse=True))
    return value


def tagged(value: Any) -> Any:
    """A text that differs exactly where keys should: by type and content, tuples as lists."""
    if isinstance(value, (list, tuple)):
        return f"[{','.join(tagged(v) for v in value)}]"
    if isinstance(value, dict):
        return "{" + ",".join(sorted(f"{tagged(k)}:{tagged(v)}" for k, v in value.items())) + "}"
    if isinstance(value, (set, frozenset)):
        return "<" + ",".join(sorted(map(tagged, value))) + ">"
    return f"{type(value).__name__}({value!r})"


def same(one: Any, other: Any) -> bool:
    """Equal in content, types and order, all the way down; NaN equals NaN."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        pairs = zip(one.items(), other.items())
        return len(one) == len(other) and all(same(a, b) for pair in pairs for a, b in zip(*pair))
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, (set, frozenset)):
        return one == other
    if isinstance(one, (np.ndarray, np.generic)):
        return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    return repr(one) == repr(other)


# ----------------------------------------------------------------------------------------------------------- templates
@bounded
@given(st.text("{}(),!*\\ab ", max_size=25))
def test_random_text_fills_or_says_why_not(text: str) -> None:
    point = {"a": "{b}", "b": 1, "ab": str, "": "empty", " ": "{a}", "*": 2}
    try:
        format_template(point, text)
    except (TemplateError, MissingKey) as error:
        assert str(error)
    except TypeError as error:  # str, called with too many or wrong arguments
        assert "str" in str(error) or "argument" in str(error)


@bounded
@given(st.text(max_size=30))
def test_an_escaped_text_comes_back(text: str) -> None:
    escaped = "".join(f"\\{c}" if c in "{}\\" else c for c in text)
    point = {"key": 5}
    assert format_template(point, "." + escaped + "{key}") == f".{text}5"
    if text:
        assert format_template({"f": lambda x: x, "key": 5}, "{!f(" + escape_all(text) + ")}") == text


def escape_all(text: str) -> str:
    return "".join(f"\\{c}" if c in "{},()!\\" else c for c in text)


@bounded
@given(st.dictionaries(names, scalars.filter(lambda v: not (isinstance(v, str) and has_template(v))), min_size=1))
def test_one_field_is_the_object_and_several_are_their_texts(point: dict[str, Any]) -> None:
    for name, value in point.items():
        assert format_template(point, f"{{{name}}}") is value
    together = "|".join(f"{{{name}}}" for name in point)
    if len(point) > 1:
        assert format_template(point, together) == "|".join(map(str, point.values()))


@bounded
@given(st.lists(st.integers(0, 7), min_size=8, max_size=8), st.integers(0, 7))
def test_chains_end_at_their_value_and_cycles_are_errors(targets: list[int], start: int) -> None:
    point: dict[str, Any] = {f"k{i}": f"{{k{t}}}" if t else 99 for i, t in enumerate(targets)}
    seen, at = set(), start
    while targets[at] and at not in seen:
        seen.add(at)
        at = targets[at]
    if targets[at]:
        with pytest.raises(TemplateError, match="cycle"):
            format_template(point, f"{{k{start}}}")
    else:
        assert format_template(point, f"{{k{start}}}") == 99


@bounded
@given(st.lists(st.text("ab ,", max_size=3).filter(lambda t: "," not in t), min_size=1, max_size=4))
def test_arguments_are_split_on_commas_and_blanks_kept(words: list[str]) -> None:
    found = format_template({"f": lambda *args: args}, "{f(" + ",".join(words) + ")}")
    assert found == (() if words == [""] else tuple(words))


# ---------------------------------------------------------------------------------------------------------------- keys
@bounded
@given(values)
def test_equal_values_have_equal_keys(value: Any) -> None:
    assert key(value) == key(twin(value))


@bounded
@given(values, values)
def test_keys_are_equal_exactly_where_content_and_types_are(one: Any, other: Any) -> None:
    assert (key(one) == key(other)) == (tagged(one) == tagged(other))


@bounded
@given(arrays, arrays)
def test_arrays_have_one_key_by_dtype_shape_and_bytes(one: Any, other: Any) -> None:
    for array in (one, other):
        assert key(array) == key(array.copy(order="F")) == key([array][0])
    one, other = (
        array.astype(array.dtype.newbyteorder("<")) for array in (one, other)
    )  # the order of bytes is no content
    alike = one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    assert (key(one) == key(other)) == alike


def test_keys_of_random_values_are_equal_in_other_processes(tmp_path: Path) -> None:
    script = programs.write(
        tmp_path / "keys.py",
        """
        import random
        from gridrun.hashing import key
        luck = random.Random(4)
        def value(depth):
            kind = luck.randrange(9 if depth else 6)
            if kind < 6:
                return luck.choice([None, True, luck.random(), luck.randrange(-9**20, 9**20), str(luck.random()), b"x"])
            if kind == 6:
                return [value(depth - 1) for _ in range(3)]
            if kind == 7:
                return {str(luck.random()): value(depth - 1) for _ in range(4)}
            return {str(luck.random()) for _ in range(5)}
        for _ in range(200):
            print(key(value(3)).hex())
        """,
    )
    printed = [programs.python(script, PYTHONHASHSEED=seed) for seed in ("0", "1", "99")]
    assert printed[0] == printed[1] == printed[2] and len(set(printed[0].split())) > 100


# --------------------------------------------------------------------------------------------------------------- grids
cells = st.one_of(st.integers(0, 3), st.sampled_from(["x", "y"]), st.none(), st.sampled_from([0.5, 1.0]))
grids = st.lists(st.dictionaries(st.sampled_from("abc"), cells, max_size=3), max_size=6)


def naive_match(point: dict[str, Any], where: dict[str, Any]) -> bool:
    return all(k in point and (point[k] == v or isinstance(v, list) and point[k] in v) for k, v in where.items())


@bounded
@given(grids, st.dictionaries(st.sampled_from("abc"), st.one_of(cells, st.lists(cells, max_size=3)), max_size=2))
def test_where_equals_a_naive_loop(grid: list[dict[str, Any]], where: dict[str, Any]) -> None:
    known = {k for point in grid for k in point}
    if grid and not set(where) <= known:
        with pytest.raises(MissingKey):
            configure(grid, {"z": 1}, where=where)
        return
    expected = [{**p, "z": 1} if naive_match(p, where) else p for p in grid]
    assert configure(grid, {"z": 1}, where=where) == expected
    expected = [q for p in grid for q in ([{**p, "s": s} for s in (7, 8)] if naive_match(p, where) else [p])]
    assert split(grid, "s", [7, 8], where=where) == expected
    assert split(grid, {"s": [7, 8]}, where=where) == expected
    matching = [p for p in grid if naive_match(p, where)]
    if all("a" in p for p in matching):
        assert query(grid, "a", where=where) == [p["a"] for p in matching]


@bounded
@given(st.lists(st.lists(cells, max_size=3), min_size=3, max_size=3))
def test_splits_make_the_product_in_order(columns: list[list[Any]]) -> None:
    grid = split(split(split([{}], "a", columns[0]), "b", columns[1]), "c", columns[2])
    assert grid == [dict(zip("abc", row)) for row in itertools.product(*columns)]


@bounded
@given(grids)
def test_make_unique_equals_a_naive_loop(grid: list[dict[str, Any]]) -> None:
    kept: list[dict[str, Any]] = []
    for point in grid:
        if not any(tagged(point) == tagged(other) for other in kept):
            kept.append(point)
    assert make_unique(grid) == kept
    assert make_unique(make_unique(grid)) == kept


@bounded
@given(st.lists(st.tuples(cells, cells, st.integers(-9, 9)), max_size=12))
def test_reduce_keys_equals_a_naive_loop(rows: list[tuple[Any, Any, int]]) -> None:
    grid = [{"a": a, "b": b, "v": v} for a, b, v in rows]
    groups: dict[str, list[Any]] = {}
    for point in grid:
        groups.setdefault(tagged([point["a"], point["b"]]), [point["a"], point["b"]]).append(point["v"])
    reduced = reduce_keys(grid, "v", {"sum": sum, "n": len}, group_by=["a", "b"])
    assert [list(p.values()) for p in reduced] == [[a, b, sum(vs), len(vs)] for a, b, *vs in groups.values()]


# ------------------------------------------------------------------------------------------------------------- results
def there_and_back(value: Any) -> Any:
    payload = encode_result(value)
    files = {blob.name: b"".join(bytes(piece) for piece in blob.pieces) for blob in payload.blobs}
    return decode_result(payload.data, lambda name: bytearray(files[name]))


@bounded
@given(values)
def test_results_come_back_with_their_types(value: Any) -> None:
    assert same(there_and_back(value), value)


@bounded
@given(st.one_of(arrays, arrays.map(lambda a: a.ravel()[0] if a.size else a)))
def test_arrays_and_their_scalars_come_back(array: Any) -> None:
    assert same(there_and_back({"a": [array]}), {"a": [array]})


@bounded
@given(st.binary(max_size=60), st.sampled_from([b"", b"j", b"J", b"J\x10\0\0\0{", b"i", b"s", b"f"]))
def test_random_bytes_are_a_value_or_an_error_of_the_store(data: bytes, start: bytes) -> None:
    def no_file(name: str) -> bytearray:
        raise StoreError(name)

    try:
        decode_result(start + data, no_file)
    except StoreError as error:
        assert isinstance(error, GridrunError)


# ----------------------------------------------------------------------------------------------------- damaged segments
def written(path: Path, sizes: list[int]) -> tuple[bytes, dict[bytes, bytes]]:
    """A segment of frames of so many records: its bytes, and its values by key."""
    path.unlink(missing_ok=True)
    writer, numbers, contents = SegmentWriter(path, durable=False), itertools.count(), {}
    for size in sizes:
        batch = []
        for n in itertools.islice(numbers, size):
            record_key, value = n.to_bytes(16, "big"), f"value {n}".encode() * (n % 5)
            contents[record_key] = value
            batch.append(NewRecord(record_key, b'{"c": %d}' % (n % 3), n % 2, RESULT, value, b"{}", float(n)))
        writer.append(batch)
    writer.close()
    return path.read_bytes(), contents


def read(path: Path) -> dict[bytes, bytes]:
    _read_whole.cache_clear()
    found = {}
    for frame in SegmentReader(str(path)).new_frames():
        for row in map(frame.row, range(frame.n_rows)):
            if row.context in frame.contexts:
                assert frame.contexts[row.context] == b'{"c": %d}' % (int.from_bytes(row.key, "big") % 3)
                found[row.key] = frame.value(row)
    return found


damages = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=6)


@fewer
@given(st.lists(st.integers(1, 4), min_size=1, max_size=5), damages, st.floats(0, 1))
def test_cut_and_overwritten_segments_lose_records_but_never_lie(
    sizes: list[int], damage: list[tuple[float, int]], length: float
) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.seg"
        raw, contents = written(path, sizes)
        hurt = bytearray(raw[: math.ceil(length * len(raw))])
        for where, byte in damage:
            if hurt:
                hurt[int(where * len(hurt))] = byte
        path.write_bytes(hurt)
        try:
            found = read(path)
        except (DamagedFile, StoreError):
            return
        assert found.items() <= contents.items()
        if bytes(hurt) == raw:
            assert found == contents
