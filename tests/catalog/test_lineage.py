"""SQL that tries to hide where a column comes from: classification follows all the same."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import pytest
from small_project import hidden, levels, project

from catalog import leaks
from catalog.catalog import Catalog
from catalog.classification import personal_columns
from catalog.leaks import called_rightly, called_too_little
from warehouse.errors import SluiceError
from warehouse.settings import Settings

USERS, LEADS, VISITS = "raw_app.users", "raw_app.leads", "raw_app.visits"
HASH = hidden(
    "hash", "left(sha256('k' || ':' || sha256('k' || ':' || cast(email as varchar))), 32)"
)

# What each column of the model is; every column that is not named here is a mistake of the test.
SEEN_THROUGH = {
    "renamed": (f"select email as nothing_special from {USERS}", {"nothing_special": "personal"}),
    "cte": (
        f"with a as (select email as x from {USERS}), b as (select x as y from a) select y from b",
        {"y": "personal"},
    ),
    "cte that hides another of its name": (
        f"with users as (select email as page from {USERS}), visits as (select page from {VISITS}),"
        " last as (with visits as (select page from users) select page from visits)"
        " select page from last",
        {"page": "personal"},
    ),
    "cte with other names": (
        f"with t(a, b) as (select user_id, email from {USERS}) select b as a from t",
        {"a": "personal"},
    ),
    "union": (
        f"select page from {VISITS} union all select email from {USERS}", {"page": "personal"}
    ),
    "union by name": (
        f"select 'x' as page, 1 as n from {VISITS} union all by name select 2 as n, email as page"
        f" from {USERS}",
        {"page": "personal", "n": "public"},
    ),
    "except": (
        f"select user_id from {VISITS} except select cast(email as varchar) from {USERS}",
        {"user_id": "personal"},
    ),
    "star": (f"select u.* exclude (context, born_on, full_name) from {USERS} as u",
             {"user_id": "internal", "email": "personal", "locale": "internal",
              "salary": "confidential"}),
    "star replaced": (
        f"select * exclude (full_name, context, born_on, salary, email)"
        f" replace (upper(email) as locale) from {USERS}",
        {"user_id": "internal", "locale": "personal"},
    ),
    "star renamed": (
        f"select * rename (email as page) from (select user_id, email from {USERS}) as u",
        {"user_id": "internal", "page": "personal"},
    ),
    "from first": (f"from {LEADS}", {"lead_id": "internal", "email": "personal",
                                    "score": "internal"}),
    "columns by pattern": (f"select columns('e.*') from {USERS}", {"*": "personal"}),
    "aggregate of all columns": (f"select max(columns(*)) from {LEADS}", {"*": "personal"}),
    "whole row": (f"select u as page from {USERS} as u", {"page": "personal"}),
    "whole row as text": (f"select u::text as page from {USERS} as u", {"page": "personal"}),
    "whole row as json": (f"select to_json(users) as page from {USERS}", {"page": "personal"}),
    "list of rows": (f"select list(u) as page from {USERS} as u", {"page": "personal"}),
    "struct": (
        f"select s.a as page from (select {{'a': email, 'b': 1}} as s from {USERS}) as t",
        {"page": "personal"},
    ),
    "struct_pack": (f"select struct_pack(a := email) as page from {USERS}", {"page": "personal"}),
    "row": (f"select row(user_id, email) as page from {USERS}", {"page": "personal"}),
    "struct unpacked": (
        f"select s.* from (select {{'a': email}} as s from {USERS}) as t", {"*": "personal"}
    ),
    "unnested struct": (
        f"select unnest(s) from (select {{'a': email}} as s from {USERS}) as t",
        {"*": "personal"},
    ),
    "json field that is personal": (
        f"select json_extract_string(context, '$.ip') as page from {USERS}", {"page": "personal"}
    ),
    "json field by any path": (
        f"select json_extract_string(context, '$..ip') as page from {USERS}", {"page": "personal"}
    ),
    "json of something else": (
        f"select (context || '{{}}') ->> '$.platform' as page from {USERS}", {"page": "personal"}
    ),
    "json packed again": (
        f"select json_object('platform', email) ->> '$.platform' as page from {USERS}",
        {"page": "personal"},
    ),
    "case": (
        f"select case when email = 'ada@example.com' then 1 else 0 end as page from {USERS}",
        {"page": "personal"},
    ),
    "coalesce": (f"select coalesce(null, email) as page from {USERS}", {"page": "personal"}),
    "whether it is there": (f"select email is null as page from {USERS}", {"page": "personal"}),
    "substring": (f"select substring(email, 2, 90) as page from {USERS}", {"page": "personal"}),
    "length": (f"select length(email) as page from {USERS}", {"page": "personal"}),
    "hash without a key": (f"select hash(email) as a, md5(email) as b, sha256(email) as c"
                           f" from {USERS}", dict.fromkeys("abc", "personal")),
    "encoded": (f"select encode(email)::text as a, base64(encode(email)) as b from {USERS}",
                dict.fromkeys("ab", "personal")),
    "aggregates": (
        f"select locale, max(email) as a, string_agg(email, ',') as b, list(email) as c,"
        f" any_value(email) as d, arg_max(user_id, email) as e, count(email) as f from {USERS}"
        " group by locale",
        {"locale": "internal", **dict.fromkeys("abcdef", "personal")},
    ),
    "order within an aggregate": (
        f"select string_agg(user_id, ',' order by email) as page from {USERS}",
        {"page": "personal"},
    ),
    "filter of an aggregate": (
        f"select count(*) filter (where email like 'a%') as page from {USERS}",
        {"page": "personal"},
    ),
    "window": (
        f"select first_value(email) over (partition by locale order by user_id) as page"
        f" from {USERS}",
        {"page": "personal"},
    ),
    "window's partition and order": (
        f"select count(*) over (partition by email) as a, row_number() over (order by email) as b"
        f" from {USERS}",
        dict.fromkeys("ab", "personal"),
    ),
    "named window": (
        f"select row_number() over w as page from {USERS} window w as (order by email)",
        {"page": "personal"},
    ),
    "alias of the same select": (
        f"select email as a, a || '!' as b, upper(b) as c from {USERS}",
        dict.fromkeys("abc", "personal"),
    ),
    "filter": (
        f"select user_id, 'yes' as page from {USERS} where email like '%@example.com'",
        {"user_id": "personal", "page": "personal"},
    ),
    "filter in a cte": (
        f"with a as (select user_id from {USERS} where email = 'x') select count(*) as n from a",
        {"n": "personal"},
    ),
    "having": (
        f"select locale from {USERS} group by locale having max(email) > 'm'",
        {"locale": "personal"},
    ),
    "qualify": (
        f"select user_id from {USERS} qualify row_number() over (order by email) = 1",
        {"user_id": "personal"},
    ),
    "group by": (
        f"select count(*) as n from {USERS} group by email", {"n": "personal"}
    ),
    "group by position and by all": (
        f"select n from (select email, count(*) as n from {USERS} group by 1 union all"
        f" select full_name, count(*) from {USERS} group by all) as t",
        {"n": "personal"},
    ),
    "distinct": (
        f"select locale from (select distinct locale, email from {USERS}) as t",
        {"locale": "personal"},
    ),
    "distinct on": (f"select distinct on (email) locale from {USERS}", {"locale": "personal"}),
    "order with a limit": (
        f"select user_id from {USERS} order by email limit 1", {"user_id": "personal"}
    ),
    "join on": (
        f"select v.page, l.score from {LEADS} as l join {USERS} as u on l.email = u.email"
        f" join {VISITS} as v on v.user_id = u.user_id",
        {"page": "personal", "score": "personal"},
    ),
    "join using": (
        f"select lead_id from {LEADS} join {USERS} using (email)", {"lead_id": "personal"}
    ),
    "natural join": (
        f"select lead_id from {LEADS} natural join (select email from {USERS}) as u",
        {"lead_id": "personal"},
    ),
    "join with a list of addresses": (
        "select v.label from (values ('ada@example.com', 'Ada')) as v(address, label)"
        f" join {USERS} as u on u.email = v.address",
        {"label": "personal"},
    ),
    "semi and anti join": (
        f"select page from {VISITS} as v semi join {USERS} as u on u.full_name = v.page"
        f" anti join {LEADS} as l on l.email = v.page",
        {"page": "personal"},
    ),
    "joins in brackets": (
        f"select t.page from ({VISITS} as v join {USERS} as u on u.email = v.page) as t",
        {"page": "personal"},
    ),
    "exists": (
        f"select page from {VISITS} where exists"
        f" (select 1 from {USERS} as u where u.user_id = visits.user_id and u.email = 'x')",
        {"page": "personal"},
    ),
    "in": (
        f"select page from {VISITS} where page in (select email from {USERS})",
        {"page": "personal"},
    ),
    "subquery in the select": (
        f"select (select max(email) from {USERS} as u where u.user_id = v.user_id) as page"
        f" from {VISITS} as v",
        {"page": "personal"},
    ),
    "lateral": (
        f"select x.part as page from {USERS} as u, lateral (select upper(u.email) as part) as x",
        {"page": "personal"},
    ),
    "unnest": (
        f"select part as page from {USERS}, unnest(string_split(email, '@')) as t(part)",
        {"page": "personal"},
    ),
    "letters by number": (
        f"select i, ascii(email[i]) as page from {USERS}, range(1, length(email)) as r(i)",
        {"i": "personal", "page": "personal"},
    ),
    "values": (
        f"select v.page from {USERS} as u, (values (u.email)) as v(page)", {"page": "personal"}
    ),
    "recursive": (
        f"with recursive r(a, b, n) as (select email, '', 0 from {USERS} union all"
        " select '', a, n + 1 from r where n < length(a)) select b, n from r",
        {"b": "personal", "n": "personal"},
    ),
    "lambda": (
        f"select list_transform([1], n -> email || n) as page from {USERS}", {"page": "personal"}
    ),
    "method": (f"select email.upper() as page from {USERS}", {"page": "personal"}),
    "pivot": (f"pivot {LEADS} on email using count(*)", {"*": "personal"}),
    "pivot in from": (
        f"select * from {LEADS} pivot (count(*) for email in ('ada@example.com'))",
        {"*": "personal"},
    ),
    "unpivot": (
        f"select value as page from {LEADS} unpivot (value for name in (lead_id, email))",
        {"page": "personal"},
    ),
    "quoted and in capitals": (
        'select "EMAIL" as "Page", "u".EMAIL as b from RAW_APP.USERS as "u"',
        {"page": "personal", "b": "personal"},
    ),
}  # fmt: skip

HONEST = {
    "what is not personal": (
        f"select v.user_id, page, seconds, u.locale from {VISITS} as v"
        f" left join {USERS} as u on u.user_id = v.user_id where page <> 'x' order by seconds",
        {"user_id": "internal", "page": "public", "seconds": "internal", "locale": "internal"},
    ),
    "all but the personal ones": (
        f"select * exclude (email, full_name, context, born_on, salary) from {USERS}",
        {"user_id": "internal", "locale": "internal"},
    ),
    "a filter on an amount tells next to nothing": (
        f"select user_id from {USERS} where salary > 0", {"user_id": "internal"}
    ),
    "an amount's value stays confidential": (
        f"select sum(salary) as s, case when salary > 9 then 'high' end as c from {USERS}"
        " group by all",
        {"s": "confidential", "c": "confidential"},
    ),
    "rows counted": (f"select count(*) as n from {USERS}", {"n": "public"}),
    "a json field that the contract calls less": (
        f"select json_extract_string(context, '$.platform') as a, context ->> 'platform' as b,"
        ' json_transform(context, \'{"platform": "VARCHAR"}\').platform as c from '
        f"{USERS}",
        dict.fromkeys("abc", "internal"),
    ),
    "a keyed hash": (f"select {HASH} as page from {USERS}", {"page": "public"}),
    "a join on keyed hashes": (
        f"with u as (select user_id, {HASH} as h from {USERS}), l as (select lead_id, {HASH} as h"
        f" from {LEADS}) select user_id, lead_id from u join l on u.h = l.h",
        {"user_id": "internal", "lead_id": "internal"},
    ),
    "first letters": (
        f"select {hidden('truncate', '''(left(cast(email as varchar), 3) || '***')''')} as page"
        f" from {USERS}",
        {"page": "public"},
    ),
    "an average over many": (
        "select locale, "
        + hidden("aggregate", "case when count(distinct email) >= 10 then avg(len(email)) end")
        + f" as n from {USERS} group by locale",
        {"locale": "internal", "n": "public"},
    ),
    "a value beside a subquery with a value of its own": (
        f"select page, (select 1 from {LEADS} limit 1) as one from {VISITS}",
        {"page": "public", "one": "public"},
    ),
}  # fmt: skip

PRETENDING = {
    "the mark alone": hidden("hash", "email"),
    "a hash beside it": hidden("hash", "sha256(email) || email"),
    "a macro of no library": hidden("anonymise_softly", "sha256(email)"),
    "a macro that nobody declares": hidden("anonymise", "sha256(email)"),
    "too many letters": hidden("truncate", "left(cast(email as varchar), 40) || '***'"),
    "letters counted by a column": hidden("truncate", "left(email, length(email))"),
    "a maximum of many": hidden("aggregate", "case when count(distinct email) >= 10 then max(email)"
                                             " end"),
    "rows are not people": hidden("aggregate", "case when count(*) >= 10 then count(email) end"),
    "a small group": hidden("aggregate", "case when count(distinct email) >= 2 then count(email)"
                                         " end"),
    "a group size that nobody counts": hidden("aggregate", "case when 100 >= 10 then count(email)"
                                                           " end"),
    "a way round the group": hidden("aggregate", "case when count(distinct email) >= 10 then 1"
                                                 " else max(email) end"),
    "a row of many": hidden("hash", "sha256(t.x) || (select max(email) from raw_app.leads)"),
}  # fmt: skip


@pytest.mark.parametrize("name", SEEN_THROUGH)
def test_what_is_hidden_is_found(name: str) -> None:
    sql, expected = SEEN_THROUGH[name]
    found = levels(sql)
    assert {each: found.get(each, found.get("*")) for each in expected} == expected
    assert {each for each in found if not each.startswith("_")} <= {*expected, "*"}


@pytest.mark.parametrize("name", HONEST)
def test_what_is_honest_passes(name: str) -> None:
    sql, expected = HONEST[name]
    found = levels(sql)
    assert {each: level for each, level in found.items() if not each.startswith("_")} == expected


@pytest.mark.parametrize("name", PRETENDING)
def test_what_only_claims_to_anonymise_does_not(name: str) -> None:
    sql = f"select {PRETENDING[name]} as page from {USERS} as t group by all"
    assert levels(sql)["page"] == "personal"


@pytest.mark.parametrize(
    "sql",
    [
        "select read_me from",
        f"describe {USERS}",
        f"select page from {VISITS}; select 1",
        f"select my_function(user_id) as page from {USERS}",
        f"select evil.upper(locale) as page from {USERS}",
        f"select page from {VISITS}, read_csv('/tmp/people.csv')",
        "select page from '/tmp/people.csv'",
        "select page from staging.nobody_knows_me",
        "select getvariable('what_a_hook_left') as page",
        "select page from query('select email as page from raw_app.users')",
    ],
)
def test_what_cannot_be_followed_counts_as_all_that_it_could_be(sql: str) -> None:
    found = levels(sql)
    assert found.get("page", found.get("*")) == "personal"


def test_a_model_that_is_not_sql_or_has_hooks_may_hold_all_of_its_inputs() -> None:
    plain = f"select page from {VISITS}"
    for more in ({"hooks": {"m": "update x"}}, {"languages": {"m": "python"}}):
        _, lineage, classified = project({"m": plain}, **more)  # type: ignore[arg-type]
        assert classified.reaching("marts.m", "page") == "personal"
        assert lineage["marts.m"].notes


def test_classification_goes_from_model_to_model_and_shows_the_way() -> None:
    models = {
        "one": f"select user_id, email as a from {USERS}",
        "two": "select user_id, upper(a) as b from marts.one",
        "three": "select b as c, user_id from marts.two where user_id <> 'x'",
    }
    declared = {
        "one": {"user_id": "internal", "a": "personal"},
        "two": {"user_id": "internal", "b": "personal"},
        "three": {"c": "confidential", "user_id": "internal"},
    }
    _, _, classified = project(models, declared=declared)
    [leak] = classified.leaks()
    assert (leak.dataset, leak.column, leak.declared, leak.reaches) == (
        "marts.three", "c", "confidential", "personal",
    )  # fmt: skip
    assert [str(step) for step in leak.path] == [
        "marts.three.c (dbt_project/models/marts/three.sql)",
        "marts.two.b (dbt_project/models/marts/two.sql)",
        "marts.one.a (dbt_project/models/marts/one.sql)",
        "raw.app.users.email (dbt_project/models/raw/app.yml)",
    ]


def test_a_public_dataset_that_calls_a_column_too_little_is_kept_back() -> None:
    catalog, _, classified = project(
        {
            "honest": 'select email as address from "raw_app"."users"',
            "leaks": 'select address, 1 as one from "marts"."honest"',
            "misspelt": 'select page from "raw_app"."visits"',
        },
        declared={
            "honest": {"address": "personal"},
            "leaks": {"address": "internal", "one": "public"},
            "misspelt": {"page": "personnal"},
        },
    )
    found = called_too_little(classified)
    # Each model of this project is called internal as a whole.
    assert found["marts.leaks"].columns == {"address": "personal"}
    assert "address is declared internal, and what reaches it is personal" in (
        found["marts.leaks"].reason
    )
    assert "`personnal`" in found["marts.misspelt"].reason
    rightly = called_rightly(catalog, found)
    masked = {each.name: personal_columns(each) for each in rightly.public()}
    assert masked == {"honest": ("address",), "leaks": ("address",), "misspelt": ("page",)}


def test_a_dot_in_a_name_is_no_field() -> None:
    models = {
        "one": f'select email as "page.a", 1 as page from {USERS}',
        "two": 'select "page.a" as b from marts.one',
    }
    _, _, classified = project(models)
    assert classified.reaching("marts.two", "b") == "personal"


def test_what_a_model_declares_higher_holds_for_all_that_follow() -> None:
    models = {"one": f"select page as a from {VISITS}", "two": "select a as b from marts.one"}
    declared = {"one": {"a": "personal"}, "two": {"b": "internal"}}
    _, _, classified = project(models, declared=declared)
    [leak] = classified.leaks()
    assert (leak.dataset, leak.reaches) == ("marts.two", "personal")


def test_a_model_that_reads_itself_is_what_it_reads_besides() -> None:
    sql = f"select page from {VISITS} union all select page from marts.m"
    _, _, classified = project({"m": sql}, declared={"m": {"page": "public"}})
    assert classified.reaching("marts.m", "page") == "public"


def test_postgres_is_read_in_its_own_words() -> None:
    json = (
        f"select cast(context as jsonb) ->> 'platform' as a, context #>> '{{ip}}' as b from {USERS}"
    )
    assert levels(json, "postgres") == {"a": "internal", "b": "personal"}
    packed = f"select row_to_json(u) as a, u::text as b, (u).email as c from {USERS} as u"
    found = levels(packed, "postgres")
    assert (found["a"], found["b"], found["c"]) == ("personal",) * 3
    hashed = hidden("hash", "encode(sha256(convert_to('k' || email, 'UTF8')), 'hex')")
    assert levels(f"select {hashed} as a from {USERS}", "postgres") == {"a": "public"}
    elsewhere = f"select query_to_xml('select email from raw_app.users') as a from {USERS}"
    assert levels(elsewhere, "postgres") == {"a": "personal"}


def test_a_project_that_cannot_be_compiled_stops_a_publish_and_no_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Settings] = []

    def unreadable(settings: Settings, catalog: Catalog) -> NoReturn:
        asked.append(settings)
        raise SluiceError("dbt cannot compile mart_a")

    monkeypatch.setattr(leaks, "load_catalog", lambda settings: None)
    monkeypatch.setattr(leaks, "load_lineage", unreadable)
    monkeypatch.setattr(leaks, "state_of", lambda *_: f"the state of {tmp_path}")
    here = Settings(data_dir=tmp_path)
    assert leaks.suspected(here) == leaks.suspected(here) == {}
    with pytest.raises(SluiceError, match="cannot compile"):
        leaks.kept_back(here)
    # dbt is asked once for each state of the project.
    assert len(asked) == 1
