"""Which expressions anonymise: what a macro declares, and what it really does.

Each macro that declares `config.meta.anonymises` wraps what it makes in a mark when the project
is compiled for lineage (macros_lib/macros/anonymise.sql). The declaration alone proves nothing:
what stands in the mark must do what it says, or all that is in it counts as if nothing stood there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, get_args

from sqlglot import exp

MARK: Final = "sluice_anonymised"
Kind = Literal["hash", "truncate", "aggregate"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

# More characters than these tell people apart; raising it is unsafe.
LONGEST_PREFIX: Final = 3
# A smaller group tells of single people; lowering it is unsafe.
SMALLEST_GROUP: Final = 10
# A maximum, a median, a list: each shows somebody's own value, however large the group.
OF_A_GROUP: Final = (
    exp.Count,
    exp.Sum,
    exp.Avg,
    exp.ApproxDistinct,
    exp.Stddev,
    exp.StddevPop,
    exp.StddevSamp,
    exp.Variance,
    exp.VariancePop,
)
HASHES: Final = (exp.SHA2, exp.SHA2Digest)
HASH_NAMES: Final = frozenset({"sha256"})


def declared(manifest: Mapping[str, Any]) -> Mapping[str, str]:
    """By macro, what it declares. A macro that is not ours to trust declares in vain."""
    return {
        str(macro["name"]): str(kind)
        for macro in manifest["macros"].values()
        if (kind := _meta(macro).get("anonymises")) is not None and _is_of_library(macro)
    }


def problems(manifest: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """Macros that declare what they may not, or what nobody knows."""
    for macro in manifest["macros"].values():
        kind = _meta(macro).get("anonymises")
        if kind is None:
            continue
        if not _is_of_library(macro):
            yield str(macro["name"]), "only a macro of macros_lib may declare that it anonymises"
        elif kind not in KINDS:
            yield str(macro["name"]), f"it declares {kind!r}, not one of {', '.join(KINDS)}"


def inside(mark: exp.Expr, known: Mapping[str, str]) -> tuple[str, exp.Expr | None]:
    """The macro that a mark names, and what stands in the mark."""
    name, *rest = mark.expressions
    macro = str(name.this) if isinstance(name, exp.Literal) else ""
    return known.get(macro, macro), rest[0] if len(rest) == 1 else None


def does(kind: str, expression: exp.Expr) -> bool:
    """Is every name in the expression out of sight, in the way of this kind?"""
    if kind == "hash":
        return all(_is_below(each, expression, _is_hash) for each in _names(expression))
    if kind == "truncate":
        return all(_is_below(each, expression, _is_short) for each in _names(expression))
    return kind == "aggregate" and _is_of_a_large_group(expression)


def _names(expression: exp.Expr) -> Iterable[exp.Expr]:
    """What an expression reads: columns, and whole queries within it."""
    return expression.find_all(exp.Column, exp.Query, exp.Star, exp.Columns, exp.PositionalColumn)


def _is_below(node: exp.Expr, top: exp.Expr, test: Any) -> bool:
    each: exp.Expr | None = node
    while each is not None and each is not top:
        if test(each):
            return True
        each = each.parent
    return each is not None and bool(test(each))


def _is_hash(node: exp.Expr) -> bool:
    return isinstance(node, HASHES) or (
        isinstance(node, exp.Anonymous) and node.name.lower() in HASH_NAMES
    )


def _is_short(node: exp.Expr) -> bool:
    return isinstance(node, exp.Left) and _number(node.expression) in range(LONGEST_PREFIX + 1)


def _is_of_a_large_group(expression: exp.Expr) -> bool:
    """`case when count(distinct …) >= 10 then <an aggregate> end`, and nothing else."""
    case = expression.unnest()
    if not isinstance(case, exp.Case) or case.args.get("this") or case.args.get("default"):
        return False
    [branch, *others] = case.args["ifs"]
    size = branch.this
    if others or not isinstance(size, exp.GTE) or _number(size.expression) < SMALLEST_GROUP:
        return False
    people = size.this.unnest()
    if not isinstance(people, exp.Count) or not isinstance(people.this, exp.Distinct):
        return False
    value = branch.args["true"]
    return all(
        _is_below(each, value, lambda node: isinstance(node, OF_A_GROUP)) for each in _names(value)
    )


def _number(node: Any) -> int:
    found = node.unnest() if isinstance(node, exp.Expr) else None
    if isinstance(found, exp.Literal) and not found.is_string and str(found.this).isdigit():
        return int(found.this)
    return -1


def _meta(macro: Mapping[str, Any]) -> Mapping[str, Any]:
    config = macro.get("config") or {}
    return {**(macro.get("meta") or {}), **(config.get("meta") or {})}


def _is_of_library(macro: Mapping[str, Any]) -> bool:
    return "macros_lib/macros/" in str(macro["original_file_path"])
