"""What reaches an expression: everything that it names, unless something anonymises it.

The rule needs no knowledge of most functions: whatever mentions a column carries it. What is
known here only narrows (one field of an object) or widens (a function that nobody knows).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from functools import cache
from typing import Final

import duckdb
from sqlglot import exp

from catalog import anonymising
from catalog.sql_scope import Relation, Scope
from catalog.taint import NOTHING, UNKNOWN, Ref, Taint, derived, field_of, joined

# Built in, and yet they can bring what no argument names.
READ_ELSEWHERE: Final = frozenset(
    {"getvariable", "getenv", "current_setting", "nextval", "currval"}
)
POSTGRES_OWN: Final = frozenset([
    "convert_to", "encode", "decode", "sha256", "jsonb_array_elements", "to_jsonb", "row",
    "jsonb_build_object", "row_to_json", "make_date", "make_interval", "btrim", "octet_length",
    "jsonb_typeof", "jsonb_array_length",
])  # fmt: skip
JSON_TYPES: Final = (exp.DType.JSON, exp.DType.JSONB)


@cache
def built_in() -> frozenset[str]:
    """Functions of the engine itself, which make something of their arguments and nothing else."""
    with duckdb.connect(":memory:") as connection:
        rows = connection.execute(
            "select distinct lower(function_name) from duckdb_functions()"
            " where internal and function_type in ('scalar', 'aggregate', 'macro')"
        ).fetchall()
    return (frozenset(name for (name,) in rows) | POSTGRES_OWN | {"row"}) - READ_ELSEWHERE


class Expressions:
    """Reads expressions; `query` reads a query within one, `note` hears what is not understood."""

    def __init__(
        self,
        anonymisers: dict[str, str],
        query: Callable[[exp.Expr, Scope], Relation],
        note: Callable[[str], None],
    ) -> None:
        self.anonymisers = anonymisers
        self.query = query
        self.note = note

    def all_of(self, nodes: Iterable[object], scope: Scope) -> Taint:
        return joined(self.of(each, scope) for each in nodes if isinstance(each, exp.Expr))

    def of(self, node: exp.Expr, scope: Scope) -> Taint:
        if isinstance(node, exp.Column):
            return self._column(node, scope)
        if isinstance(node, exp.Alias | exp.Paren):
            return self.of(node.this, scope)
        if isinstance(node, exp.Identifier):
            return scope.lookup([node.name.lower()]) or NOTHING
        if isinstance(node, exp.PropertyEQ):
            return self.of(node.expression, scope)
        if isinstance(node, exp.Query):
            found = self.query(node, scope)
            return derived(joined([found.everything, found.rows]))
        if isinstance(node, exp.Count) and isinstance(node.this, exp.Star):
            return NOTHING
        if isinstance(node, exp.Star | exp.Columns | exp.PositionalColumn):
            return derived(scope.everything)
        if isinstance(node, exp.Lambda):
            names = frozenset(each.name.lower() for each in node.expressions)
            return self.of(node.this, Scope(scope, {}, bound=names))
        if isinstance(node, exp.Cast) and node.to.this in JSON_TYPES:
            return self.of(node.this, scope)
        if isinstance(node, exp.Anonymous) and node.name.lower() == anonymising.MARK:
            return self._anonymised(node, scope)
        narrowed = self._field(node, scope)
        return derived(self._parts(node, scope)) if narrowed is None else narrowed

    def _column(self, node: exp.Column, scope: Scope) -> Taint:
        if isinstance(node.this, exp.Star):
            return derived(scope.lookup([node.table.lower()]) or self._lost(node, scope))
        parts = [each.name.lower() for each in node.parts]
        found = scope.lookup(parts)
        return self._lost(node, scope) if found is None else found

    def _lost(self, node: exp.Expr, scope: Scope) -> Taint:
        self.note(f"nothing is called {node.sql()} where it stands: it may be anything there")
        return derived(scope.everything)

    def _parts(self, node: exp.Expr, scope: Scope) -> Taint:
        parts = self.all_of(children(node), scope)
        if isinstance(node, exp.Window) and node.args.get("alias"):
            return joined([parts, scope.windows])
        if isinstance(node, exp.Dot) and isinstance(node.expression, exp.Func):
            return joined([parts, self._unknown(node.expression, scope)])
        if not isinstance(node, exp.Anonymous):
            return parts
        if node.name.lower() not in built_in():
            return joined([parts, self._unknown(node, scope)])
        return parts

    def _unknown(self, node: exp.Expr, scope: Scope) -> Taint:
        name = node.name if isinstance(node, exp.Anonymous) else type(node).__name__
        self.note(f"nobody knows the function {name.lower()}(…): it may show anything")
        unknown: Taint = {Ref(UNKNOWN, f"what {name.lower()}(…) shows"): "value"}
        return joined([derived(scope.everything), unknown])

    def _anonymised(self, node: exp.Anonymous, scope: Scope) -> Taint:
        kind, expression = anonymising.inside(node, self.anonymisers)
        if expression is None:
            return self.all_of(node.expressions, scope)
        if anonymising.does(kind, expression):
            return NOTHING
        self.note(f"what claims to anonymise ({kind}) does not: {expression.sql()[:80]}")
        return derived(self.of(expression, scope))

    def _field(self, node: exp.Expr, scope: Scope) -> Taint | None:
        """Fields of a JSON object, read by constant names."""
        if isinstance(node, exp.Dot) and isinstance(node.expression, exp.Identifier):
            return field_of(self.of(node.this, scope), node.expression.name)
        fields = _fields(node)
        if not fields:
            return None
        object_ = node.this if not isinstance(node, exp.Anonymous) else node.expressions[0]
        taint = self.of(object_, scope)
        return joined(field_of(taint, each) for each in fields)


def children(node: exp.Expr) -> Iterable[exp.Expr]:
    for value in node.args.values():
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, exp.Expr):
                yield each


def _fields(node: exp.Expr) -> tuple[str, ...]:
    if isinstance(node, exp.JSONExtract | exp.JSONExtractScalar):
        path = node.expression.expressions if isinstance(node.expression, exp.JSONPath) else []
        first = path[1] if len(path) > 1 else None
        plain = isinstance(first, exp.JSONPathKey) and isinstance(first.this, str)
        return (str(first.this),) if plain and first is not None else ()
    if isinstance(node, exp.JSONBExtractScalar) and isinstance(node.expression, exp.Literal):
        braced = re.fullmatch(r'\{"?([\w ]+)"?(,.*)?\}', str(node.expression.this))
        return (braced.group(1),) if braced else ()
    if isinstance(node, exp.Anonymous) and node.name.lower() == "json_transform":
        shape = node.expressions[1] if len(node.expressions) == 2 else None
        return _keys(shape.this) if isinstance(shape, exp.Literal) else ()
    return ()


def _keys(shape: str) -> tuple[str, ...]:
    try:
        found = json.loads(shape)
    except ValueError:
        return ()
    return tuple(found) if isinstance(found, dict) else ()
