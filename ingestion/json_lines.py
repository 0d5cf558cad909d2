"""JSON lines: what DuckDB makes of them, all lines of a chunk in one statement."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final

from ingestion.contracts import Contract
from ingestion.ledger import registered
from ingestion.line_chunks import Chunk, lines_table
from ingestion.plain_json import has_nul
from ingestion.sql_text import names
from ingestion.taking import Reading, Scope, Sink
from ingestion.validation import NOT_AN_OBJECT, NOT_JSON, NUL
from warehouse.connection import literal, named

# Each costs a little for every row; more at a time are no change of a contract.
_FORESEEN: Final = 8


def parse_json_lines(sink: Sink, chunk: Chunk, strangers: Sequence[str] = ()) -> None:
    """Whole lines, all in one statement; names that the contract does not have may be foreseen."""
    contract = sink.contract
    lines, row_counts = lines_table(chunk)
    with registered(sink.connection, "sluice_lines", lines):
        sink.take(
            Reading(
                lambda scope: _texts(contract, scope, strangers[:_FORESEEN]),
                row_counts,
                content="rtrim(content, chr(10) || chr(13))",
            )
        )
        if contract.aliases:
            sink.note_renamed(
                f"""with keys as (
                        select batch_id, json_keys(case when json_valid(line) then line end) as keys
                        from sluice_lines
                    )
                    select distinct batch_id, list_intersect(keys, {names(contract.aliases)})
                    from keys"""
            )


def _texts(contract: Contract, scope: Scope, strangers: Sequence[str]) -> str:
    types = {c.name: c.data_type for c in contract.columns}
    strangers = [s for s in strangers if s.lower() not in map(str.lower, contract.known_names)]
    strangers = list(_apart(dict.fromkeys(strangers, "JSON")))
    wanted = {
        name: "JSON" if types[column.name] == "json" else "VARCHAR"
        for column in contract.columns
        for name in column.names
    }
    without_known = json.dumps(dict.fromkeys(wanted))
    apart = _apart(wanted)
    layout = json.dumps(apart | dict.fromkeys(strangers, "JSON"))
    place = {
        name: f"fields.{named(name)}" if name in apart else _sought(name, wanted[name])
        for name in wanted
    }
    found = [f"({place[name]} is not null)::integer" for name in wanted]
    # One stranger that was foreseen is in its place already; to look for others is slow.
    one = [f"stranger_count = 1 and fields.{named(name)} is not null" for name in strangers]
    its_name = _cases(one, [names([name]) for name in strangers])
    its_value = _cases(
        one, [f"json_object({literal(name)}, fields.{named(name)})" for name in strangers]
    )
    values = []
    for number, column in enumerate(contract.columns):
        fields = ", ".join(place[name] for name in column.names)
        text = f"coalesce({fields})" if column.aliases else fields
        values.append(f"{text} as t{number}")
    return f"""
        with objects as (
            select *, case when is_object then line end as object
            from (
                select *, json_valid(line) as is_json,
                    json_valid(line) and case when starts_with(line, '{{') then true
                        else starts_with(ltrim(line, chr(32) || chr(9)), '{{') end as is_object
                from sluice_lines
                -- Trimming is slow, and an `or` here would trim every line.
                where {scope.batches} and {scope.rows} and case when strlen(line) > 17 then true
                    else trim(line, ' ' || chr(10) || chr(13)) != '' end
            )
        ),
        fields as (
            select *, json_transform(object, {literal(layout)}) as fields,
                json_keys(object) as keys
            from objects
        ),
        counted as (
            -- As many keys as values that were found: none of them is unknown.
            select *, len(keys) - ({" + ".join(found)}) as stranger_count from fields
        ),
        strangers as (
            select *, case when stranger_count > 0 then case {its_name} else
                    list_filter(keys, lambda name: not list_contains({names(wanted)}, name))
                end end as unknown
            from counted
        )
        select batch_id, file, row_number, line as content,
            case when structure > 0 then structure when not is_json then {NOT_JSON}
                when not is_object then {NOT_AN_OBJECT} when {has_nul("line")} then {NUL}
                else 0 end as structure,
            unknown,
            case when len(unknown) > 0 then case {its_value} else
                    json_merge_patch(object, {literal(without_known)})
                end end as extra,
            {", ".join(values)}
        from strangers
        """


def _apart(names: Mapping[str, str]) -> dict[str, str]:
    """Of names that differ in case only, a struct can hold but the first."""
    seen: dict[str, str] = {}
    for name in names:
        seen.setdefault(name.lower(), name)
    return {name: names[name] for name in seen.values()}


def _sought(name: str, kind: str) -> str:
    """A value outside of the struct: slower, one at a time."""
    path = literal(f"$.{json.dumps(name, ensure_ascii=False)}")
    value = f"nullif(object -> {path}, 'null'::json)"
    return value if kind == "JSON" else f"(object ->> {path})"


def _cases(conditions: Sequence[str], results: Sequence[str]) -> str:
    pairs = zip(conditions, results, strict=True)
    return " ".join(f"when {when} then {then}" for when, then in pairs) or "when false then null"
