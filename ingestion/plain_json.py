"""JSON that every engine reads: DuckDB takes more for JSON than the standard and PostgreSQL do.

What is refused here is refused on every target, so that the same landing gives the same rows.
Each test starts with a cheap look, for nearly every text passes it.
"""

from __future__ import annotations

from typing import Final

# PostgreSQL reads JSON by recursion; with its smallest stack it ends somewhere above 3,000.
MAX_DEPTH: Final = 1000
_NUL: Final = r"'\u0000'"
# An even number of backslashes before it would be backslashes that stand for themselves.
_ESCAPED_NUL: Final = r"'(^|[^\\])(\\\\)*\\u0000'"
_WORDS: Final = ("nan", "inf")
_PARTS: Final = (*_WORDS, *sorted(set("".join(_WORDS).upper())))
_STRINGS: Final = r"""'"([^"\\]|\\.)*"'"""


def has_nul(text: str) -> str:
    """True where a string in this JSON holds the character U+0000: no text of PostgreSQL can."""
    return f"case when contains({text}, {_NUL}) then regexp_matches({text}, {_ESCAPED_NUL}) end"


def is_odd(text: str, *, is_rewritten: bool) -> str:
    """True where this text, which DuckDB takes for JSON, is none for others.

    `is_rewritten`: DuckDB has written it anew, out of a line that has no U+0000.
    """
    bare = f"regexp_replace({text}, {_STRINGS}, '\"\"', 'gs')"
    brackets = f"regexp_replace({bare}, '[^\\[\\]{{}}]+', '', 'g')"
    # All in small letters, or with a capital: to look is cheap, to make all letters small is not.
    is_spelled = " or ".join(f"contains({text}, '{part}')" for part in _PARTS)
    in_small = " or ".join(f"contains(lower({text}), '{word}')" for word in _WORDS)
    # More than 1,000 levels are more than 2,000 brackets.
    suspicious = [
        f"case when {is_spelled} then {in_small} else false end",
        f"strlen({text}) > {2 * MAX_DEPTH}",
    ]
    wrong = [f"regexp_matches({bare}, '(?i)nan|inf|,\\s*[\\]}}]')", _is_deep(brackets)]
    if not is_rewritten:
        suspicious += [f"contains({text}, {_NUL})", f"regexp_matches({text}, ',\\s*[\\]}}]')"]
        wrong.append(f"coalesce({has_nul(text)}, false)")
    return f"case when {' or '.join(suspicious)} then {' or '.join(wrong)} end"


def _is_deep(brackets: str) -> str:
    steps = f"""list_transform(string_split({brackets}, ''), lambda c: case
        when c in ('[', '{{') then {{'level': 1, 'most': 1}}
        else {{'level': -1, 'most': 0}} end)"""
    most = f"""list_reduce({steps}, lambda a, b: {{
        'level': a.level + b.level, 'most': greatest(a.most, a.level + b.level)
    }}).most"""
    return f"""case when strlen({brackets}) <= {2 * MAX_DEPTH} then false
        when regexp_matches({brackets}, '[\\[{{]{{{MAX_DEPTH}}}[\\[{{]') then true
        else {most} > {MAX_DEPTH} end"""
