"""What reaches the columns of a query: its sources, its expressions, and what decides about rows.

The reading is strict: whatever a filter, join, group, order or `distinct` mentions decides which
rows there are, so it reaches every column. What cannot be followed raises CannotFollow, or
counts as everything that could be seen there (docs/decisions/0031-…).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from sqlglot import exp

from catalog.sql_expressions import Expressions, children
from catalog.sql_scope import UNNAMED, Relation, Scope, united
from catalog.taint import UNKNOWN, Ref, Taint, deciding, derived, joined

# Functions in `from` that make rows of their arguments alone; every other reads who knows what.
ONE_COLUMN: Final = frozenset([
    "generate_series", "exploding_generate_series", "range", "jsonb_array_elements",
    "jsonb_array_elements_text", "json_array_elements", "regexp_split_to_table", "string_to_table",
])  # fmt: skip
ROWS_OF_ARGUMENTS: Final = ONE_COLUMN | {"unnest", "explode", "json_each", "json_tree"}
# How often a recursive query is read again before what reaches it must stand still.
ROUNDS: Final = 30
# Parts of a select that are read by themselves; every other decides which rows there are.
READ_APART: Final = frozenset([
    "expressions", "from_", "joins", "laterals", "with_", "windows", "distinct", "group", "order",
    "hint", "kind",
])  # fmt: skip


class CannotFollow(Exception):
    """A statement that is no query, or one of a kind that nobody has read before."""


class Queries:
    """Reads one model's SQL; `tables` gives the relation of a table by schema and name."""

    def __init__(
        self,
        tables: Callable[[str, str], Relation | None],
        anonymisers: Mapping[str, str],
        note: Callable[[str], None],
    ) -> None:
        self.tables = tables
        self.note = note
        self.expressions = Expressions(dict(anonymisers), self.read, note)

    def read(self, node: exp.Expr, around: Scope | None = None) -> Relation:
        scope = self._with(node, around)
        if isinstance(node, exp.Select):
            return self._select(node, scope)
        if isinstance(node, exp.SetOperation):
            return self._modified(node, self._set_operation(node, scope), scope)
        if isinstance(node, exp.Subquery):
            return self._modified(node, self._source(node, scope), scope)
        if isinstance(node, exp.Table | exp.Values | exp.Pivot):
            return self._source(node, scope)
        raise CannotFollow(f"it is not a query but {type(node).__name__.lower()}")

    def _with(self, node: exp.Expr, around: Scope | None) -> Scope:
        scope = Scope(around, {})
        with_ = node.args.get("with_")
        if with_ is None:
            return scope
        for cte in with_.expressions:
            name = cte.alias.lower()
            names = [each.name.lower() for each in cte.args["alias"].columns]
            if with_.args.get("recursive"):
                found = self._recursive(cte.this, name, names, scope)
            else:
                found = self.read(cte.this, scope).renamed(names)
            scope = Scope(scope, {name: found})
        return scope

    def _recursive(self, node: exp.Expr, name: str, names: list[str], around: Scope) -> Relation:
        """Read again and again, each time with what the last reading found, until that is all."""
        anchor = node.this if isinstance(node, exp.SetOperation) else node
        itself = self.read(anchor, Scope(around, {name: Relation()})).renamed(names)
        for _ in range(ROUNDS):
            found = self.read(node, Scope(around, {name: itself})).renamed(names)
            if found == itself:
                return found
            itself = found
        raise CannotFollow(f"{name} is recursive, and what reaches it does not stand still")

    def _select(self, node: exp.Select, scope: Scope) -> Relation:
        deciding_: list[Taint] = []
        self._from(node, scope, deciding_)
        of = self.expressions
        windows = node.args.get("windows") or []
        scope.windows = joined(of.all_of(children(each), scope) for each in windows)
        found = self._projections(node, scope)
        deciding_.extend([found.rows, self._clauses(node, found, scope)])
        sources = united(scope.relations.values())
        return Relation(found.columns, found.rest, deciding(joined([sources.rows, *deciding_])))

    def _from(self, node: exp.Expr, scope: Scope, conditions: list[Taint]) -> None:
        from_ = node.args.get("from_")
        if from_ is not None:
            self._add(from_.this, scope, conditions)
        for join in node.args.get("joins") or []:
            self._join(join, scope, conditions)
        for lateral in node.args.get("laterals") or []:
            self._add(lateral, scope, conditions)

    def _join(self, join: exp.Join, scope: Scope, conditions: list[Taint]) -> None:
        before = {name for each in scope.relations.values() for name, _ in each.columns}
        known = set(scope.relations)
        self._add(join.this, scope, conditions)
        conditions.append(self.expressions.all_of([join.args.get("on")], scope))
        shared = [each.name.lower() for each in join.args.get("using") or []]
        if str(join.args.get("method") or "").upper() == "NATURAL":
            added = [each for name, each in scope.relations.items() if name not in known]
            shared = [name for each in added for name, _ in each.columns if name in before]
        conditions.extend(scope.lookup([name]) or scope.everything for name in shared)

    def _add(self, node: exp.Expr, scope: Scope, conditions: list[Taint]) -> None:
        """A source of rows, under its alias; joins that are nested in it come with it."""
        alias = node.alias_or_name.lower() or f"{UNNAMED}{len(scope.relations)}"
        if alias in scope.relations:
            alias = f"{alias}{UNNAMED}{len(scope.relations)}"
        scope.relations[alias] = self._source(node, scope)
        for join in node.args.get("joins") or []:
            self._join(join, scope, conditions)

    def _source(self, node: exp.Expr, scope: Scope) -> Relation:
        found = self._renamed(self._plain_source(node, scope), node)
        pivots = node.args.get("pivots") or []
        if pivots or isinstance(node, exp.Pivot):
            parts = [each for pivot in pivots for each in children(pivot)]
            of_pivots = self.expressions.all_of(parts, scope)
            everything = derived(joined([found.everything, of_pivots]))
            return Relation((), everything, joined([found.rows, deciding(everything)]))
        return found

    def _plain_source(self, node: exp.Expr, scope: Scope) -> Relation:
        if isinstance(node, exp.Pivot):
            return self._source(node.this, scope)
        if isinstance(node, exp.Table):
            return self._table(node, scope)
        if isinstance(node, exp.Subquery):
            inner = node.this
            if isinstance(inner, exp.Table | exp.Subquery) and inner.args.get("joins"):
                return self._nested_joins(inner, scope)
            is_source = isinstance(inner, exp.Table | exp.Values)
            return self._source(inner, scope) if is_source else self.read(inner, scope)
        if isinstance(node, exp.Lateral) and isinstance(node.this, exp.Subquery):
            return self._source(node.this, scope)
        if isinstance(node, exp.Values | exp.Unnest | exp.Lateral):
            return self._made_rows(children(node), scope)
        raise CannotFollow(f"{type(node).__name__.lower()} in `from`")

    def _nested_joins(self, node: exp.Expr, scope: Scope) -> Relation:
        inner, conditions = Scope(scope, {}), list[Taint]()
        self._add(node, inner, conditions)
        found = united(inner.relations.values())
        rows = joined([found.rows, deciding(joined(conditions))])
        return Relation(found.columns, found.rest, rows)

    def _table(self, node: exp.Table, scope: Scope) -> Relation:
        if not isinstance(node.this, exp.Identifier):
            name = _function(node.this)
            if name in ROWS_OF_ARGUMENTS:
                return self._made_rows(children(node.this), scope)
            return self._unknown(f"what {name}(…) reads")
        name, schema = node.name.lower(), node.db.lower()
        found = scope.cte(name) if not schema else self.tables(schema, name)
        return self._unknown(f"what is in {node.sql()}") if found is None else found

    def _unknown(self, what: str) -> Relation:
        self.note(f"nobody has classified {what}")
        return Relation((), {Ref(UNKNOWN, what): "value"})

    def _made_rows(self, nodes: Iterable[exp.Expr], scope: Scope) -> Relation:
        taint = derived(self.expressions.all_of(nodes, scope))
        return Relation((), taint, deciding(taint))

    def _renamed(self, found: Relation, node: exp.Expr) -> Relation:
        alias = node.args.get("alias")
        columns = alias.columns if isinstance(alias, exp.TableAlias) else []
        renamed = found.renamed([each.name.lower() for each in columns])
        is_one_column = isinstance(node, exp.Unnest) or _function(node.this) in ONE_COLUMN
        if columns and is_one_column:
            return Relation(renamed.columns, None, renamed.rows)
        return renamed

    def _projections(self, node: exp.Select, scope: Scope) -> Relation:
        columns: list[tuple[str, Taint]] = []
        rest: list[Taint] = []
        rows: list[Taint] = []
        for index, each in enumerate(node.expressions):
            star = _star(each)
            if star is not None:
                found = self._expanded(each, star, scope)
                columns.extend(found.columns)
                rest.extend([found.rest] if found.rest is not None else [])
                continue
            taint = self.expressions.of(each, scope)
            if _is_many(each):
                rest.append(taint)
            if each.find(exp.Explode, exp.Unnest, exp.ExplodeOuter, exp.Posexplode):
                rest.append(taint)
                rows.append(taint)
            name = each.alias_or_name.lower() if isinstance(each, exp.Alias | exp.Column) else ""
            columns.append((name or f"{UNNAMED}{index}", taint))
            if isinstance(each, exp.Alias):
                scope.aliases[name] = joined([scope.aliases.get(name, {}), taint])
        return Relation(tuple(columns), joined(rest) if rest else None, deciding(joined(rows)))

    def _expanded(self, node: exp.Expr, star: exp.Star, scope: Scope) -> Relation:
        """`*` and `t.*` with what they leave out, replace and rename."""
        table = node.table.lower() if isinstance(node, exp.Column) else ""
        if table and table not in scope.relations:
            # A struct unpacked: its fields may be called anything.
            return Relation((), self.expressions.of(node, scope))
        sources = [scope.relations[table]] if table else list(scope.relations.values())
        found = united(sources)
        out = {each.name.lower() for each in star.args.get("except_") or []}
        columns = {name: taint for name, taint in found.columns if name not in out}
        for each in star.args.get("replace") or []:
            columns[each.alias.lower()] = self.expressions.of(each, scope)
        renames = star.args.get("rename") or []
        names = {each.this.name.lower(): each.alias.lower() for each in renames}
        renamed = tuple((names.get(name, name), taint) for name, taint in columns.items())
        return Relation(renamed, found.rest)

    def _clauses(self, node: exp.Expr, found: Relation, scope: Scope) -> Taint:
        """What `where`, `group by`, `order by`, `distinct`, `limit` and their like mention."""
        plain: list[object] = []
        for name, value in node.args.items():
            if name not in READ_APART:
                plain.extend(value if isinstance(value, list) else [value])
        taints = [self.expressions.all_of(plain, scope)]
        for name in ("group", "order"):
            clause = node.args.get(name)
            if clause is not None:
                taints.append(self._by(clause, found, scope))
        distinct = node.args.get("distinct")
        if isinstance(distinct, exp.Distinct):
            on = distinct.args.get("on")
            taints.append(self.expressions.of(on, scope) if on is not None else found.everything)
        return joined(taints)

    def _by(self, clause: exp.Expr, found: Relation, scope: Scope) -> Taint:
        """Columns by name, by position (`group by 2`) or all at once (`group by all`)."""
        if clause.args.get("all") or clause.find(exp.Star):
            return found.everything
        taints = [self.expressions.all_of(children(clause), scope)]
        for each in clause.expressions:
            plain = each.this if isinstance(each, exp.Ordered) else each
            if isinstance(plain, exp.Literal):
                taints.append(_at(found, plain))
            elif plain.name.lower() == "all":
                taints.append(found.everything)
        return joined(taints)

    def _set_operation(self, node: exp.SetOperation, scope: Scope) -> Relation:
        left, right = self.read(node.left, scope), self.read(node.right, scope)
        rows = [left.rows, right.rows]
        if not isinstance(node, exp.Union) or node.args.get("distinct"):
            rows.extend([left.everything, right.everything])
        found = _by_name(left, right) if node.args.get("by_name") else _by_position(left, right)
        return Relation(found.columns, found.rest, deciding(joined(rows)))

    def _modified(self, node: exp.Expr, found: Relation, scope: Scope) -> Relation:
        """`order by` and `limit` behind a query in brackets or a union."""
        inner = Scope(scope, {}, {UNNAMED: found})
        names = ("order", "limit", "offset", "where", "sort")
        clauses = [node.args[each] for each in names if node.args.get(each) is not None]
        taints = [self._by(each, found, inner) for each in clauses]
        return Relation(found.columns, found.rest, joined([found.rows, deciding(joined(taints))]))


def _function(node: object) -> str:
    """What a function is called; nothing of what is none."""
    if isinstance(node, exp.Anonymous):
        return str(node.name).lower()
    return node.sql_name().lower() if isinstance(node, exp.Func) else ""


def _star(node: exp.Expr) -> exp.Star | None:
    inner = node.this if isinstance(node, exp.Column) else node
    return inner if isinstance(inner, exp.Star) else None


def _is_many(node: exp.Expr) -> bool:
    """`columns('…')` and its like: one expression, as many columns as it finds."""
    if node.find(exp.Columns, exp.PositionalColumn):
        return True
    return any(not isinstance(each.parent, exp.Count) for each in node.find_all(exp.Star))


def _at(found: Relation, position: exp.Literal) -> Taint:
    number = int(position.this) if str(position.this).isdigit() else 0
    if found.rest is None and 1 <= number <= len(found.columns):
        return found.columns[number - 1][1]
    return found.everything


def _by_position(left: Relation, right: Relation) -> Relation:
    is_known = left.rest is None and right.rest is None
    if is_known and len(left.columns) == len(right.columns):
        pairs = zip(left.columns, right.columns, strict=True)
        return Relation(tuple((name, joined([one, other])) for (name, one), (_, other) in pairs))
    everything = joined([left.everything, right.everything])
    return Relation(tuple((name, everything) for name, _ in left.columns), everything)


def _by_name(left: Relation, right: Relation) -> Relation:
    found: dict[str, Taint] = dict(left.columns)
    for name, taint in right.columns:
        found[name] = joined([found.get(name, {}), taint])
    rest = [each.rest for each in (left, right) if each.rest is not None]
    return Relation(tuple(found.items()), joined(rest) if rest else None)
