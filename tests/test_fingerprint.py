"""Fingerprints: what code a function runs, and nothing about how it is written."""

from __future__ import annotations

import functools
import importlib
import itertools
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import programs
import pytest

from gridrun import sources
from gridrun.fingerprint import Fingerprint, changed_parts, fingerprint
from gridrun.identity import identity

Taker = Callable[..., Fingerprint]

PAGE = """
import helpers
from helpers import other as renamed

LEVEL = 0.5
TABLE = {"a": 1}
LIMITS = (1, 2)

class Model:
    size = 3
    def forward(self, x):
        return x * self.size

def scale(x):
    return x * LEVEL

def unused(x):
    return x

def f(x, k=1):
    y = scale(x) + TABLE["a"] + LIMITS[0]
    return Model().forward(y) + helpers.shift(y) + renamed(y)
"""
HELPERS = """
OFFSET = 10

def shift(x):
    return x + OFFSET

def other(x):
    return x - 1

def unused(x):
    return x
"""


@pytest.fixture
def take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Taker]:
    """take(page, helpers) gives the fingerprint of page.f, each time from a folder of its own."""
    numbers = itertools.count()
    before = set(sys.modules)

    def take(page: str = PAGE, helpers: str = HELPERS, function: str = "f", **others: str) -> Fingerprint:
        folder = tmp_path / str(next(numbers))
        for name, source in {"page": page, "helpers": helpers, **others}.items():
            programs.write(folder / f"{name.replace('.', '/')}.py", source)
            sys.modules.pop(name, None)
        sources.find_file.cache_clear()
        importlib.invalidate_caches()
        with monkeypatch.context() as patch:
            patch.syspath_prepend(str(folder))
            return fingerprint(getattr(importlib.import_module("page"), function))

    yield take
    for name in set(sys.modules) - before:
        if name.split(".")[0] in ("page", "helpers", "heavy", "pack"):
            del sys.modules[name]
    sources.find_file.cache_clear()


def changed(source: str, old: str, new: str) -> str:
    assert old in source
    return source.replace(old, new)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("def f(x, k=1):", "# a comment\n\n\ndef f(x, k=1):"),
        ("def f(x, k=1):", 'def f(x, k=1):\n    """What it does."""'),
        ("def f(x, k=1):", "def f(x: float, k: 'int' = 1) -> 'float':"),
        ("return x * LEVEL", "return (x\n            * LEVEL)  # scaled"),
        ("def scale(x):", 'def scale(x: "float") -> float:\n    "Scales."'),
        ("    y = scale(x)", "    y: float = scale(x)"),
        ("    y = scale(x)", "    y : 'a text'  = scale( x )"),
        ("LEVEL = 0.5", "LEVEL: float = 0.50"),
        ('TABLE = {"a": 1}', "TABLE = {\n    'a': 1,\n}"),
        ("class Model:", 'class Model:\n    """A model."""\n'),
        ("def unused(x):\n    return x", "def unused(x):\n    return 2 * x"),
        ("def unused(x):", "NEW = 1\n\ndef unused(x):"),
        ("def f(x, k=1):", "def f(x, k=2, extra=None):"),  # the key's concern
    ],
)
def test_how_it_is_written_does_not_matter(take: Taker, old: str, new: str) -> None:
    assert take(changed(PAGE, old, new)) == take()


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        ("y = scale(x)", "y = 2 * scale(x)", "page:f"),
        ("return x * LEVEL", "return x / LEVEL", "page:scale"),
        ("LEVEL = 0.5", "LEVEL = 0.25", "page:LEVEL"),
        ("LEVEL = 0.5", "LEVEL = True", "page:LEVEL"),
        ('{"a": 1}', '{"a": 2}', "page:TABLE"),
        ("LIMITS = (1, 2)", "LIMITS = (1, 2.0)", "page:LIMITS"),
        ("size = 3", "size = 4", "page:Model"),
        ("return x * self.size", "return x + self.size", "page:Model"),
        ("def scale(x):", "def scale(x, power=2):", "page:scale"),
    ],
)
def test_what_the_page_runs_matters_and_is_named(take: Taker, old: str, new: str, name: str) -> None:
    before, after = take(), take(changed(PAGE, old, new))
    assert before.digest != after.digest
    assert changed_parts(before.parts, after.parts) == [name]


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        ("x + OFFSET", "OFFSET + x", "helpers:shift"),
        ("= 10", "= 11", "helpers:OFFSET"),
        ("- 1", "- 2", "helpers:other"),
    ],
)
def test_what_other_modules_run_matters_too(take: Taker, old: str, new: str, name: str) -> None:
    before, after = take(), take(helpers=changed(HELPERS, old, new))
    assert changed_parts(before.parts, after.parts) == [name]


def test_what_is_not_reached_in_another_module_does_not_matter(take: Taker) -> None:
    assert take(helpers=HELPERS + "\n\ndef more(x):\n    return unused(x)\n") == take()


def test_a_change_that_is_taken_back_gives_the_old_fingerprint(take: Taker) -> None:
    assert take() != take(changed(PAGE, "0.5", "0.6")) != take() == take()


def test_modules_are_read_and_never_imported(take: Taker) -> None:
    page = "def f(x):\n    import heavy\n    from heavy import g as h\n    return heavy.g(x) + h(x)\n"
    heavy = "raise SystemExit('imported')\ndef g(x):\n    return x + 1\n"
    before = take(page, heavy=heavy)
    assert "heavy" not in sys.modules and "heavy:g" in before.parts
    assert take(page, heavy=changed(heavy, "+ 1", "+ 2")) != before
    assert take(page, heavy=changed(heavy, "imported", "other text")) == before


def test_relative_and_starred_imports_of_a_package_are_followed(take: Taker) -> None:
    page = "def f(x):\n    from pack import entry\n    return entry(x)\n"
    pack = {
        "pack.__init__": "from .inner import entry\n",
        "pack.inner": "from .deep import *\ndef entry(x):\n    return low(x)\n",
        "pack.deep": "def low(x):\n    return x - 1\n",
    }
    before = take(page, **pack)
    after = take(page, **{**pack, "pack.deep": "def low(x):\n    return x - 2\n"})
    assert changed_parts(before.parts, after.parts) == ["pack.deep:low"]


def test_functions_that_call_each_other_end(take: Taker) -> None:
    page = "def f(x):\n    return g(x - 1) if x else 0\ndef g(x):\n    return f(x)\n"
    assert take(page) != take(changed(page, "else 0", "else 1"))
    assert take(page).parts.keys() == {"page:f", "page:g"}


def test_installed_packages_and_the_standard_library_are_left_out(take: Taker) -> None:
    page = "import json, numpy\nfrom os import path\ndef f(x):\n    return json.dumps(path.join(numpy.mean(x)))\n"
    assert take(page).parts.keys() == {"page:f"}


def make(k: Any) -> Callable[[int], Any]:
    def inner(x: int) -> Any:
        return k(x) if callable(k) else x

    return inner


def double(x: int) -> int:
    return 2 * x


def test_closures_count_by_functions_classes_and_constants_and_leave_other_objects_out() -> None:
    assert fingerprint(make(1)) != fingerprint(make(2))
    assert fingerprint(make(1)) != fingerprint(make(1.0))
    assert fingerprint(make(double)) != fingerprint(make(make))
    assert fingerprint(make(double)) == fingerprint(make(double))
    assert fingerprint(make([1])) == fingerprint(make([2]))
    assert fingerprint(make((1, "a"))) != fingerprint(make((1, "b")))


WRAPPED = """
import functools

def twice(g):
    @functools.wraps(g)
    def both(x):
        return g(x) + g(x)
    return both

LEVEL = 1

@twice
def helper(x):
    return x + LEVEL

@twice
def f(x):
    return helper(x) - 5
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [("- 5", "- 6"), ("LEVEL = 1", "LEVEL = 2"), ("g(x) + g(x)", "g(x) * g(x)"), ("x + LEVEL", "LEVEL + x")],
)
def test_what_a_decorator_wraps_counts_and_the_decorator_too(take: Taker, old: str, new: str) -> None:
    assert take(WRAPPED).digest != take(changed(WRAPPED, old, new)).digest
    assert take(WRAPPED) == take(changed(WRAPPED, "def f(x):", "def f(x):  # as before"))


def test_the_body_under_a_decorator_of_an_installed_package_counts(take: Taker) -> None:
    page = "import torch\n\n@torch.no_grad()\ndef f(x):\n    return x + 1\n"
    assert take(page) != take(changed(page, "+ 1", "+ 2"))
    assert take(page) == take(page)


CLOSED = """
SIZE = 3

def make():
    class Model:
        size = SIZE
        def double(self, x):
            return 2 * x * self.size
    def f(x):
        return Model().double(x)
    return f

f = make()
"""


@pytest.mark.parametrize(("old", "new"), [("2 * x", "3 * x"), ("size = SIZE", "size = 4"), ("SIZE = 3", "SIZE = 4")])
def test_a_class_that_a_function_closes_over_counts_with_its_constants(take: Taker, old: str, new: str) -> None:
    assert take(CLOSED).digest != take(changed(CLOSED, old, new)).digest


@pytest.mark.parametrize(
    "build",
    [
        "T = [0, 1]",
        "T = [0]\nT += [1]",
        "T = {}\nT[1] = 1",
        "T = {}\nT.update({1: 1})",
        "T = []\nfor i in 0, 1:\n    T.append(i * 1)",
    ],
)
def test_how_a_table_of_the_module_is_built_counts(take: Taker, build: str) -> None:
    page = build + "\ndef f(x):\n    return x + T[1]\n"
    head, one, tail = build.rpartition("1")
    assert take(page).digest != take(head + "2" + tail + "\ndef f(x):\n    return x + T[1]\n").digest
    assert one


def test_lambdas_on_one_line_are_told_apart() -> None:
    plus, minus, same = (lambda x: x + 1), (lambda x: x - 1), (lambda x: x + 1)  # noqa: E731
    assert fingerprint(plus) != fingerprint(minus)
    assert fingerprint(plus).digest == fingerprint(same).digest


def test_without_source_the_bytecode_stands_and_says_so() -> None:
    def made(body: str) -> Any:
        space: dict[str, Any] = {"__name__": "nowhere"}
        exec(f"def f(x):\n    return {body}\n", space)
        return space["f"]

    assert fingerprint(made("x + 1")).from_bytecode
    assert fingerprint(made("x + 1")) == fingerprint(made("x + 1")) != fingerprint(made("x + 2"))
    assert fingerprint(made("x.a")) != fingerprint(made("x.b"))
    assert not fingerprint(double).from_bytecode


def test_identity_is_module_and_qualified_name_and_main_is_its_file(tmp_path: Path) -> None:
    assert identity(double).endswith("test_fingerprint:double")
    assert identity(make(1)).endswith("test_fingerprint:make.<locals>.inner")
    bare = make(1)
    bare.__module__ = None  # type: ignore[assignment]
    assert identity(bare) == "make.<locals>.inner"
    script = programs.write(
        tmp_path / "page.py",
        """
        from gridrun.fingerprint import fingerprint, identity
        def g(x):
            return x
        def f(x):
            return g(x)
        if __name__ == "__main__":
            print(identity(f), fingerprint(f).digest.hex(), *fingerprint(f).parts)
        """,
    )
    loader = programs.write(
        tmp_path / "loader.py",
        "from page import *\nprint(identity(f), fingerprint(f).digest.hex(), *fingerprint(f).parts)",
    )
    assert programs.python(script) == programs.python(loader)
    assert programs.python(script).split()[0] == "page:f"


CORPUS = '''
import dataclasses, functools
from typing import Any

SCALE, SHIFT = 2.5, -3
NAMES = ("a", b"b", 1j, None, ..., True, frozenset({1}))

@dataclasses.dataclass(frozen=True)
class Box:
    """A box."""
    width: float
    tags: "list[str]" = dataclasses.field(default_factory=list)
    count: int = 0

    @property
    def area(self) -> float:
        return self.width ** 2 if self.width else -1

@functools.lru_cache(maxsize=None)
def helper(x, /, y=1, *rest, key: int = 0, **more):
    total: int = 0
    for i, (a, *b) in enumerate(rest):
        total += a @ b[0] if i else (a, *b)[i]
    else:
        total -= 1
    while (n := total // 2) > 3:
        total = n
        if n % 7: continue
        break
    with open(x) as one, open(y) as (two, three):
        pass
    try:
        raise ValueError from None
    except (ValueError, TypeError) as error:
        assert error, "why"
    except Exception:
        return
    else:
        pass
    finally:
        del total
    return more

async def waiting(source):
    async with source as s:
        async for item in s:
            yield await item
    result = [i async for i in source if i]

def generator(n):
    global SCALE
    got = yield
    yield from (x for x in range(n) if x if not x)
    def inner():
        nonlocal got
        got = 1
    return {**{k: v for k, v in got}, "a": {*got, 1}}, [*got], got[1:2, ::3, ...], got[-1], lambda *a, b=1, **k: a

def texts(value, width=3):
    """Docstring."""
    plain = "one" "two" 'three'
    return (f"{value!r:>{width}} and {value=} {{}} {value:.{width}f}" f"{'x'}" "tail", b"\\x00", r"\\d", u"old",
            f"{value:%Y-%m}", f"""{
                value}""", f"a{value}b" "c", f"", f"plain", "%s" % value)

def matching(value):
    match value:
        case [1, 2, *rest] if rest:
            return rest
        case {"a": Box(width=w, count=0), **others}:
            return w, others
        case str() | bytes() as text:
            return text
        case -1 | 2.5 | 1 + 2j | None:
            return 0
        case _:
            pass

def f(x):
    return (SCALE * SHIFT, NAMES, Box(x).area, helper(x), waiting, generator(x), texts(x), matching(x),
            not x < 1 <= 2 != 3, x is not None and x or x in NAMES, ~x << 1 >> 2 & 3 | 4 ^ 5, 10**40, 0x10, 1_000, 1e-7)
'''
XXHASH = '''
"""Stands in for xxhash where it is not installed: another hash, equal everywhere."""
import hashlib

def xxh3_128_digest(data):
    return hashlib.blake2b(bytes(data), digest_size=16).digest()

def xxh3_128_hexdigest(data):
    return xxh3_128_digest(data).hex()

def xxh3_64_intdigest(data):
    return int.from_bytes(xxh3_128_digest(data)[:8], "big")

def xxh3_64_hexdigest(data):
    return xxh3_128_digest(data)[:8].hex()

xxh3_128 = None
'''
TELL = """
from corpus import f
from gridrun.fingerprint import fingerprint
found = fingerprint(f)
print(found.digest.hex(), found.from_bytecode)
print(*(f"{name}={part}" for name, part in found.parts.items()), sep="\\n")
"""


def pythons() -> dict[str, str]:
    """The interpreters of other supported versions that this machine has, by version."""
    found = {}
    for minor in (10, 11, 12, 13):
        pyenv = sorted((Path.home() / ".pyenv" / "versions").glob(f"3.{minor}.*/bin/python"))
        for candidate in [shutil.which(f"python3.{minor}"), *map(str, pyenv)]:
            if candidate and (3, minor) != sys.version_info[:2] and answers(candidate, minor):
                found[f"3.{minor}"] = candidate
                break
    return found


@functools.cache
def answers(interpreter: str, minor: int) -> bool:
    asked = [interpreter, "-c", "import sys; print(sys.version_info[:2])"]
    return f"(3, {minor})" in subprocess.run(asked, capture_output=True, text=True, check=False).stdout


@pytest.mark.parametrize("version", ["3.10", "3.11", "3.12", "3.13"])
def test_fingerprints_are_equal_on_every_python(version: str, tmp_path: Path) -> None:
    interpreter = pythons().get(version)
    if version == "{}.{}".format(*sys.version_info):
        pytest.skip(f"Python {version} runs this test; the others are compared with it")
    if not interpreter:
        pytest.skip(f"no Python {version} on this machine")
    programs.write(tmp_path / "xxhash.py", XXHASH)
    (tmp_path / "corpus.py").write_text(CORPUS)
    script = programs.write(tmp_path / "tell.py", TELL)
    here, there = (
        subprocess.run(
            [python, "-S", str(script)] if python == interpreter else [python, str(script)],
            env=programs.environment(PYTHONPATH=f"{tmp_path}:{programs.ROOT}"),
            capture_output=True,
            text=True,
            check=False,
        )
        for python in (sys.executable, interpreter)
    )
    assert here.stderr == there.stderr == ""
    assert there.stdout.splitlines() == here.stdout.splitlines()
    assert here.stdout.split()[1] == "False" and len(here.stdout.splitlines()) > 8
