"""Templates: what a text names in a point, and what its errors say."""

from __future__ import annotations

from typing import Any

import pytest

from gridrun.errors import GridrunError, MissingKey, TemplateError
from gridrun.template import format_template, get, parse


def joined(*words: Any) -> str:
    return "|".join(map(str, words))


POINT: dict[str, Any] = {
    "a": 1,
    "half": 0.5,
    "none": None,
    "empty": "",
    "k": "a",
    "topic": "food",
    "fav_food": "cheese",
    "list": [1, 2],
    "nest": "{a}",
    "deep": "{nest}",
    "mixed": "x{a}y",
    "kind": lambda x: type(x).__name__,
    "join": joined,
    "count": lambda *words: len(words),
    "make": lambda x: lambda y: (x, y),
    "text_of_a": lambda: "{a}",
    "braces": r"\{a\}",
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("", ""),
        ("{a}", 1),
        ("{none}", None),
        ("{empty}", ""),
        ("{a}{a}", "11"),
        ("{a} ", "1 "),
        ("{none}!", "None!"),
        ("{deep}", 1),
        ("{mixed}", "x1y"),
        ("{fav_{topic}}", "cheese"),
        ("{{k}}", 1),
        ("{fav_{topic}} and {half}", "cheese and 0.5"),
        ("{kind({a})}", "int"),
        ("{kind(1)}", "str"),
        ("{kind({list})}", "list"),
        ("{count()}", 0),
        ("{count(a)}", 1),
        ("{count(,)}", 2),
        ("{join( a , b )}", " a | b "),
        ("{join({join(a,b)},c)}", "a|b|c"),
        ("{join(My name (x, y) is)}", "My name (x, y) is"),
        ("{join(f(a,b),c)}", "f(a,b)|c"),
        ("{make(1)(2)}", ("1", "2")),
        ("{make({a})({list})}", (1, [1, 2])),
        ("{text_of_a()}", 1),
        ("{!text_of_a()}", "{a}"),
        ("{!nest}", "{a}"),
        (r"\{a\} is {a}", "{a} is 1"),
        (r"{join(a\,b,\(\))}", "a,b|()"),
        (r"{a}\\", "1\\"),
        ("{braces}", "{a}"),
    ],
)
def test_a_text_becomes(text: str, expected: Any) -> None:
    found = format_template(POINT, text)
    assert (found, type(found)) == (expected, type(expected))


def test_exactly_one_field_gives_the_object_itself_and_the_star_the_point_itself() -> None:
    assert format_template(POINT, "{list}") is POINT["list"]
    assert format_template(POINT, "{*}") is POINT
    assert format_template({"*": 5}, "{*}") == 5


@pytest.mark.parametrize("value", [7, None, 2.5, ["{a}"], b"{a}"])
def test_only_texts_are_templates(value: Any) -> None:
    assert format_template(POINT, value) is value


def test_a_backslash_in_a_plain_text_stays() -> None:
    assert format_template(POINT, r"C:\new\(x)") == r"C:\new\(x)"


def test_a_missing_key_shows_the_template_marks_the_place_and_names_the_near_key() -> None:
    with pytest.raises(MissingKey) as caught:
        format_template({"topic": 1, "seed": 2}, "the {tpoic} of {seed}")
    message = str(caught.value)
    lines = message.splitlines()
    shown = next(i for i, line in enumerate(lines) if "the {tpoic} of {seed}" in line)
    assert lines[shown + 1].index("^") == lines[shown].index("{tpoic}")
    assert "did you mean 'topic'?" in message
    assert isinstance(caught.value, KeyError) and isinstance(caught.value, GridrunError)


def test_a_missing_key_far_from_all_names_lists_them() -> None:
    with pytest.raises(MissingKey, match="it has aa, bb"):
        format_template({"bb": 1, "aa": 2}, "{zzzzzz}")


@pytest.mark.parametrize(
    ("text", "at"),
    [("x{a", 1), ("a}b", 1), ("{f(a}", 4), ("{a(}", 3), ("ab{c}}", 5), ("{f()x}", 4), ("{", 0)],
)
def test_unbalanced_text_is_marked_where_it_breaks(text: str, at: int) -> None:
    with pytest.raises(TemplateError) as caught:
        format_template({"a": 1, "c": 1, "f": str}, text)
    lines = str(caught.value).splitlines()
    shown = next(i for i, line in enumerate(lines) if line.strip() == text)
    assert lines[shown + 1].index("^") - lines[shown].index(text) == at


def test_calling_what_is_no_function_says_what_it_is() -> None:
    with pytest.raises(TemplateError, match=r"'a' is called but is no function \(it is int: 1\)"):
        format_template(POINT, "{a(1)}")


def test_a_cycle_is_shown() -> None:
    with pytest.raises(TemplateError, match="cycle: a -> b -> a"):
        format_template({"a": "{b}", "b": "x{a}"}, "{a}")
    with pytest.raises(TemplateError, match="cycle: a -> a"):
        get({"a": "{a}"}, "a")


def test_a_function_that_always_gives_a_template_ends() -> None:
    with pytest.raises(TemplateError, match="without end"):
        format_template({"f": lambda: "{f()}"}, "{f()}")


@pytest.mark.parametrize("text", ["{" * 5000, "{" * 3000 + "a" + "}" * 3000, "{f(" * 3000])
def test_absurdly_deep_text_is_a_template_error(text: str) -> None:
    with pytest.raises(TemplateError):
        format_template({"a": 1, "f": str}, text)


def test_an_error_inside_a_called_function_is_left_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError):
        format_template({"f": lambda: 1 // 0}, "{f()}")


def test_a_text_is_parsed_once_and_filled_many_times() -> None:
    text = "level {level} of {nest}, parsed once"
    parse.cache_clear()
    before = parse.cache_info().misses
    filled = [format_template({"level": i, "nest": "{level}"}, text) for i in range(50)]
    assert filled == [f"level {i} of {i}, parsed once" for i in range(50)]
    assert parse.cache_info().misses - before == 2  # the text, and "{level}"


def test_get_resolves_and_has_a_default() -> None:
    assert (get(POINT, "deep"), get(POINT, "nope", 3), get(POINT, "list")) == (1, 3, [1, 2])
    with pytest.raises(MissingKey, match="no key 'nope'"):
        get(POINT, "nope")
