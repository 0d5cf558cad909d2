-- One row per case of a macro that gives one value: what it is, and whether it came out as expected.
{%- set day = "cast('2025-03-31' as date)" %}
{%- set instant = "cast('2025-03-30 23:30:00.250+00:00' as timestamp with time zone)" %}
{%- set abroad = "cast('2025-03-31 01:30:00+02:00' as timestamp with time zone)" %}
{%- set json = "cast('{\"a\": {\"b\": \"c\"}, \"n\": 1, \"z\": null}' as json)" %}
{%- set m = sluice_macros %}
{%- set cases = {
    'as_of is the pinned instant': [m.as_of(), "cast('2026-04-01 00:00:00+00:00' as timestamp with time zone)"],
    'last_day is the last whole day': [m.last_day(), "cast('2026-03-31' as date)"],
    'utc_date of an instant late in the day': [m.utc_date(instant), "cast('2025-03-30' as date)"],
    'utc_date of another zone': [m.utc_date(abroad), "cast('2025-03-30' as date)"],
    'utc_date before 1970': [m.utc_date("cast('1969-12-31 23:00:00+00:00' as timestamp with time zone)"),
        "cast('1969-12-31' as date)"],
    'week_start of a Sunday': [m.week_start("cast('2025-01-05' as date)"), "cast('2024-12-30' as date)"],
    'week_start of a Monday': [m.week_start("cast('2025-01-06' as date)"), "cast('2025-01-06' as date)"],
    'month_start': [m.month_start(day), "cast('2025-03-01' as date)"],
    'add_days forward': [m.add_days(day, 1), "cast('2025-04-01' as date)"],
    'add_days backward over a leap day': [m.add_days("cast('2024-03-01' as date)", -1), "cast('2024-02-29' as date)"],
    'add_days by an expression': [m.add_days(day, 'cast(2 as bigint)'), "cast('2025-04-02' as date)"],
    'add_months keeps to the month': [m.add_months(day, 1), "cast('2025-04-30' as date)"],
    'add_months backward': [m.add_months(day, -1), "cast('2025-02-28' as date)"],
    'add_hours': [m.add_hours(instant, 336), "cast('2025-04-13 23:30:00.250+00:00' as timestamp with time zone)"],
    'add_seconds': [m.add_seconds(instant, 1800), "cast('2025-03-31 00:00:00.250+00:00' as timestamp with time zone)"],
    'days_between': [m.days_between(day, "cast('2025-04-02' as date)"), '2'],
    'days_between backward': [m.days_between(day, "cast('2025-03-01' as date)"), '-30'],
    'months_between ignores days': [m.months_between(day, "cast('2026-01-01' as date)"), '10'],
    'seconds_between keeps the fraction': [m.seconds_between(instant,
        "cast('2025-03-30 23:30:01.000+00:00' as timestamp with time zone)"), '0.75'],
    'surrogate_key is md5': [m.surrogate_key(["'a'"]), "md5('1:a')"],
    'convert_currency rounds half away from zero': [m.convert_currency('0.125', '1'), '0.13'],
    'convert_currency of a negative amount': [m.convert_currency('-0.125', '1'), '-0.13'],
    'convert_currency just below half': [m.convert_currency('100.00', '1.084949'), '108.49'],
    'convert_currency of null': [m.convert_currency('null', '1'), 'null'],
    'safe_divide': [m.safe_divide('1', '4'), '0.25'],
    'safe_divide by zero': [m.safe_divide('1', '0'), 'null'],
    'safe_divide by null': [m.safe_divide('1', 'null'), 'null'],
    'json_text of a path': [m.json_text(json, 'a', 'b'), "'c'"],
    'json_text of a number': [m.json_text(json, 'n'), "'1'"],
    'json_text of a null': [m.json_text(json, 'z'), 'null'],
    'json_text of nothing': [m.json_text(json, 'a', 'x'), 'null'],
    'json_scalar of a text': [m.json_scalar("cast('\"it is \\\"so\\\"\"' as json)"), "'it is \"so\"'"],
    'json_scalar of a number': [m.json_scalar("cast('1.5' as json)"), "'1.5'"],
    'as_double of a text': [m.as_double("'0.25'"), '0.25'],
    'day_start': [m.day_start(day), "cast('2025-03-31 00:00:00+00:00' as timestamp with time zone)"],
    'json_field of a parsed object': [m.json_field('(' ~ m.json_object(json, ['n', 'z']) ~ ')', 'n'), "'1'"],
    'json_field that is not there': [m.json_field('(' ~ m.json_object(json, ['n', 'z', 'q']) ~ ')', 'q'), 'null'],
    'clock_corrected': [m.clock_corrected(instant, abroad,
        "cast('2025-03-31 01:29:00+02:00' as timestamp with time zone)"),
        "cast('2025-03-30 23:29:00.250+00:00' as timestamp with time zone)"],
    'anonymise_hash is stable': [m.anonymise_hash("'a@b.c'"), m.anonymise_hash("'a@b.c'")],
    'anonymise_hash is the mask of a masked column': [m.anonymise_hash("'a@b.c'"), "'a8991d26ab9e83d5471052d562c9b374'"],
    'anonymise_hash of null': [m.anonymise_hash('null'), 'null'],
    'anonymise_truncate': [m.anonymise_truncate("'10.1.2.3'", 3), "'10.***'"],
    'anonymise_aggregate of a large group': [m.anonymise_aggregate('7', '10'), '7'],
    'anonymise_aggregate of a small group': [m.anonymise_aggregate('7', '9'), 'null'],
} %}
{%- for name, case in cases.items() %}
select '{{ name }}' as case_name, {{ case[0] }} is not distinct from {{ case[1] }} as holds
{{- '\nunion all' if not loop.last }}
{%- endfor %}
