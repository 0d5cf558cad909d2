"""Each rule of docs/reference/contract_rules.md by an example, and whom a change reaches."""

from __future__ import annotations

import os
from datetime import date

import pytest
from small_project import project

from ingestion.contracting.comparing import Difference, differences
from ingestion.contracting.promises import promises_of
from ingestion.contracting.reach import judged, reach_of
from ingestion.contracting.rules import RULES, VERDICTS, reference
from warehouse.errors import ContractError
from warehouse.settings import PROJECT_ROOT

REFERENCE = PROJECT_ROOT / "docs" / "reference" / "contract_rules.md"
TODAY = date(2026, 3, 1)
BASE = """
sources:
  - name: shop
    config: {meta: {owner: sales, classification: internal}}
    tables:
      - name: orders
        config:
          meta:
            format: csv
            key: [order_id]
            change_log: false
            on_drift: quarantine
            delimiter: ";"
            max_line_bytes: 1000
            service_level: {freshness_hours: 24}
        columns:
          - {name: order_id, data_type: varchar, config: {meta: {required: true}}}
          - {name: amount, data_type: "decimal(18,2)", config: {meta: {aliases: [total]}}}
          - {name: items, data_type: integer, config: {meta: {required: true}}}
          - {name: email, data_type: varchar, config: {meta: {classification: confidential}}}
          - {name: coupon, data_type: varchar, config: {meta: {deprecated_on: "2026-03-01"}}}
          - {name: channel, data_type: varchar, config: {meta: {deprecated_on: "2026-06-01"}}}
          - {name: placed_on, data_type: date}
          - {name: context, data_type: json, config: {meta: {fields: {ip: confidential}}}}
"""
COUPON = (
    "          - {name: coupon, data_type: varchar, "
    'config: {meta: {deprecated_on: "2026-03-01"}}}\n'
)
CHANNEL = COUPON.replace("coupon", "channel").replace("2026-03", "2026-06")
PLACED = "{name: placed_on, data_type: date}"
EMAIL = "{name: email, data_type: varchar, config: {meta: {classification: confidential}}}"
AMOUNT = '{name: amount, data_type: "decimal(18,2)", config: {meta: {aliases: [total]}}}'
ITEMS = "{name: items, data_type: integer, config: {meta: {required: true}}}"
LAST = "{name: context, data_type: json, config: {meta: {fields: {ip: confidential}}}}"
MORE = "\n      - name: returns\n        columns: [{name: return_id, data_type: varchar}]\n"


def added(column: str) -> tuple[str, str]:
    return LAST, f"{LAST}\n          - {column}"


# By rule: what is changed in the text above. Some rules have more than one edge.
EXAMPLES: list[tuple[str, str, str]] = [
    ("table_added", LAST, LAST + MORE),
    ("column_added", *added("{name: note, data_type: varchar}")),
    ("column_added_required",
     *added("{name: note, data_type: varchar, config: {meta: {required: true}}}")),
    ("column_renamed_with_alias", PLACED,
     "{name: ordered_on, data_type: date, config: {meta: {aliases: [placed_on]}}}"),
    ("column_renamed", PLACED, "{name: ordered_on, data_type: date}"),
    ("column_dropped_deprecated", COUPON, ""),
    ("column_dropped_early", CHANNEL, ""),
    ("column_dropped", f"          - {PLACED}\n", ""),
    ("deprecation_announced", PLACED,
     '{name: placed_on, data_type: date, config: {meta: {deprecated_on: "2026-03-02"}}}'),
    ("deprecation_too_late", PLACED,
     '{name: placed_on, data_type: date, config: {meta: {deprecated_on: 2026-03-01}}}'),
    ("deprecation_hastened", "2026-06-01", "2026-05-01"),
    ("deprecation_postponed", "2026-06-01", "2026-07-01"),
    ("deprecation_postponed", ', config: {meta: {deprecated_on: "2026-06-01"}}', ""),
    ("type_widened", "data_type: integer", "data_type: bigint"),
    ("type_widened", "data_type: integer", 'data_type: "decimal(12,2)"'),
    ("type_widened", "decimal(18,2)", "decimal(20,4)"),
    ("type_narrowed", "decimal(18,2)", "decimal(17,1)"),
    ("type_narrowed", "decimal(18,2)", "bigint"),
    ("type_narrowed", "decimal(18,2)", "decimal(18,4)"),
    ("type_changed", "data_type: integer", "data_type: varchar"),
    ("type_changed", "data_type: date", "data_type: timestamptz"),
    ("required_relaxed", ITEMS, "{name: items, data_type: integer}"),
    ("required_relaxed_key", "varchar, config: {meta: {required: true}}", "varchar"),
    ("required_tightened", PLACED,
     "{name: placed_on, data_type: date, config: {meta: {required: true}}}"),
    ("alias_added", "[total]", "[total, sum]"),
    ("alias_removed", "[total]", "[]"),
    ("key_changed", "key: [order_id]", "key: [order_id, placed_on]"),
    ("classification_raised", EMAIL, EMAIL.replace("confidential", "personal")),
    ("classification_raised", "{ip: confidential}", "{ip: personal}"),
    ("classification_lowered", EMAIL, EMAIL.replace("confidential", "public")),
    ("classification_lowered", "{ip: confidential}", "{}"),
    ("freshness_tightened", "freshness_hours: 24", "freshness_hours: 12"),
    ("freshness_loosened", "freshness_hours: 24", "freshness_hours: 48"),
    ("freshness_loosened", "            service_level: {freshness_hours: 24}\n", ""),
    ("format_changed", "format: csv", "format: jsonl"),
    ("delimiter_changed", '";"', '"|"'),
    ("change_log_changed", "change_log: false", "change_log: true"),
    ("drift_loosened", "on_drift: quarantine", "on_drift: evolve"),
    ("drift_tightened", "on_drift: quarantine", "on_drift: freeze"),
    ("line_limit_raised", "max_line_bytes: 1000", "max_line_bytes: 2000"),
    ("line_limit_lowered", "max_line_bytes: 1000", "max_line_bytes: 500"),
    ("schema_changed", "- name: shop", "- name: shop\n    schema: raw_store"),
    ("owner_changed", "owner: sales", "owner: growth"),
]  # fmt: skip


def changed(old: str, new: str) -> tuple[Difference, ...]:
    assert BASE.count(old) == 1, old
    before, after = (promises_of({"shop.yml": text}) for text in (BASE, BASE.replace(old, new)))
    return differences(before, after, TODAY)


@pytest.mark.parametrize(("rule", "old", "new"), EXAMPLES)
def test_a_change_is_judged_by_its_rule(rule: str, old: str, new: str) -> None:
    [difference] = changed(old, new)
    assert difference.rule.key == rule
    assert difference.rule.verdict == "compatible" or difference.remedy


def test_every_rule_has_its_example() -> None:
    elsewhere = {"table_removed", "column_dropped_still_read"}
    assert {rule for rule, _, _ in EXAMPLES} | elsewhere == set(RULES)
    assert {rule.verdict for rule in RULES.values()} == set(VERDICTS)


def test_nothing_is_different_in_the_same_words_otherwise_arranged() -> None:
    again = BASE.replace(
        "owner: sales, classification: internal", "classification: internal, owner: sales"
    )
    again = again.replace("format: csv", "connector: {kind: files}\n            format: csv")
    before, after = promises_of({"a.yml": BASE}), promises_of({"b.yml": again})
    assert differences(before, after, TODAY) == ()
    [gone] = differences(promises_of({"a.yml": BASE.replace(LAST, LAST + MORE)}), after, TODAY)
    assert (gone.rule.key, gone.rule.verdict, gone.entity) == (
        "table_removed", "breaking", "shop.returns",
    )  # fmt: skip


def test_a_column_that_is_renamed_and_retyped_at_once_is_told_both() -> None:
    found = changed(
        AMOUNT, "{name: price, data_type: bigint, config: {meta: {aliases: [total, amount]}}}"
    )
    assert [each.rule.key for each in found] == ["column_renamed_with_alias", "type_narrowed"]
    assert found[0].column == "price" and (found[0].was, found[0].now) == ("amount", "price")
    # The key follows the rename.
    keyed = BASE.replace("key: [order_id]", "key: [id]").replace(
        "{name: order_id, data_type: varchar, config: {meta: {required: true}}}",
        "{name: id, data_type: varchar, config: {meta: {required: true, aliases: [order_id]}}}",
    )
    before, after = promises_of({"a.yml": BASE}), promises_of({"a.yml": keyed})
    assert [each.rule.key for each in differences(before, after, TODAY)] == [
        "column_renamed_with_alias"
    ]


def test_a_day_that_is_none_is_refused_with_the_file_and_the_column() -> None:
    with pytest.raises(ContractError, match=r"shop\.yml: shop\.orders.*deprecated_on.*coupon"):
        promises_of({"shop.yml": BASE.replace("2026-03-01", "soon")})


MODELS = {
    "stg_users": "select user_id, email, locale, salary from raw_app.users",
    "dim_users": "select user_id, upper(locale) as language from marts.stg_users",
    "pay": "select user_id, salary * 12 as yearly from marts.stg_users",
    "languages": "select language, count(*) as users from marts.dim_users group by language",
}


def test_a_column_reaches_what_is_made_of_it_and_an_entity_everything() -> None:
    catalog, lineage, _ = project(MODELS)

    def reached(rule: str, column: str = "") -> set[str]:
        difference = Difference(RULES[rule], "app.users", column)
        return {each.split(".")[-1] for each in reach_of(catalog, lineage, difference).datasets}

    assert reached("type_changed", "locale") == {"stg_users", "dim_users", "languages"}
    assert reached("type_changed", "salary") == {"stg_users", "pay"}
    assert reached("type_changed", "full_name") == set()
    assert reached("key_changed") == set(MODELS)
    assert reached("column_added", "note") == set()


def test_a_column_may_not_be_dropped_while_a_model_still_names_it() -> None:
    catalog, lineage, _ = project({"stg_users": "select user_id, nickname from raw_app.users"})
    dropped = [
        Difference(RULES["column_dropped_deprecated"], "app.users", name, "2026-03-01")
        for name in ("nickname", "nick")
    ]
    read, unread = judged(catalog, lineage, dropped)
    assert read.difference.rule.key == "column_dropped_still_read"
    assert [each.split(".")[-1] for each in read.reach.datasets] == ["stg_users"]
    assert (unread.difference.rule.verdict, unread.reach.datasets) == ("compatible", ())


def test_the_reference_of_rules_says_what_the_rules_say() -> None:
    if os.environ.get("UPDATE_REFERENCE"):
        REFERENCE.write_text(reference())
    assert REFERENCE.exists() and REFERENCE.read_text() == reference()
