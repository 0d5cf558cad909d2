{#- Calendar arithmetic that means the same on every engine. Days are UTC, weeks start on Monday. -#}

{% macro utc_date(instant) %}
    {{- return(adapter.dispatch('utc_date', 'sluice_macros')(instant)) -}}
{% endmacro %}

{#- DuckDB's own cast goes through the calendar of the session's zone: ten times slower. -#}
{% macro default__utc_date(instant) %}
    {{- return('cast(make_timestamp(epoch_us(' ~ instant ~ ')) as date)') -}}
{% endmacro %}

{% macro postgres__utc_date(instant) %}
    {{- return('cast((' ~ instant ~ ") at time zone 'UTC' as date)") -}}
{% endmacro %}

{#- The session's zone is UTC on Spark (profile). -#}
{% macro spark__utc_date(instant) %}
    {{- return('to_date(' ~ instant ~ ')') -}}
{% endmacro %}

{#- The instant at which the UTC day begins. -#}
{% macro day_start(date) %}
    {{- return(adapter.dispatch('day_start', 'sluice_macros')(date)) -}}
{% endmacro %}

{% macro default__day_start(date) %}
    {{- return('make_timestamptz(epoch_us(cast(cast(' ~ date ~ ' as date) as timestamp)))') -}}
{% endmacro %}

{% macro postgres__day_start(date) %}
    {{- return('(cast(cast(' ~ date ~ " as date) as timestamp) at time zone 'UTC')") -}}
{% endmacro %}

{#- The session's zone is UTC on Spark (profile). -#}
{% macro spark__day_start(date) %}
    {{- return('cast(cast(' ~ date ~ ' as date) as timestamp)') -}}
{% endmacro %}

{% macro week_start(date) %}
    {{- return("cast(date_trunc('week', cast(" ~ date ~ ' as date)) as date)') -}}
{% endmacro %}

{% macro month_start(date) %}
    {{- return("cast(date_trunc('month', cast(" ~ date ~ ' as date)) as date)') -}}
{% endmacro %}

{% macro add_days(date, days) %}
    {{- return(adapter.dispatch('add_days', 'sluice_macros')(date, days)) -}}
{% endmacro %}

{% macro default__add_days(date, days) %}
    {{- return('(cast(' ~ date ~ ' as date) + cast(' ~ days ~ ' as integer))') -}}
{% endmacro %}

{% macro spark__add_days(date, days) %}
    {{- return('date_add(' ~ date ~ ', cast(' ~ days ~ ' as int))') -}}
{% endmacro %}

{% macro add_months(date, months) %}
    {{- return(adapter.dispatch('add_months', 'sluice_macros')(date, months)) -}}
{% endmacro %}

{% macro default__add_months(date, months) %}
    {{- return('cast(cast(' ~ date ~ ' as date) + to_months(cast(' ~ months ~ ' as integer)) as date)') -}}
{% endmacro %}

{% macro postgres__add_months(date, months) %}
    {{- return('cast(cast(' ~ date ~ ' as date) + make_interval(months => cast(' ~ months ~ ' as integer)) as date)') -}}
{% endmacro %}

{% macro spark__add_months(date, months) %}
    {{- return('add_months(' ~ date ~ ', cast(' ~ months ~ ' as int))') -}}
{% endmacro %}

{% macro add_hours(instant, hours) %}
    {{- return(adapter.dispatch('add_seconds', 'sluice_macros')(instant, '3600 * (' ~ hours ~ ')')) -}}
{% endmacro %}

{% macro add_seconds(instant, seconds) %}
    {{- return(adapter.dispatch('add_seconds', 'sluice_macros')(instant, seconds)) -}}
{% endmacro %}

{% macro default__add_seconds(instant, seconds) %}
    {{- return('(' ~ instant ~ ' + to_seconds(' ~ seconds ~ '))') -}}
{% endmacro %}

{% macro postgres__add_seconds(instant, seconds) %}
    {{- return('(' ~ instant ~ ' + make_interval(secs => ' ~ seconds ~ '))') -}}
{% endmacro %}

{% macro spark__add_seconds(instant, seconds) %}
    {{- return('(' ~ instant ~ ' + make_dt_interval(0, 0, 0, ' ~ seconds ~ '))') -}}
{% endmacro %}

{% macro days_between(first, second) %}
    {{- return(adapter.dispatch('days_between', 'sluice_macros')(first, second)) -}}
{% endmacro %}

{% macro default__days_between(first, second) %}
    {{- return('cast(cast(' ~ second ~ ' as date) - cast(' ~ first ~ ' as date) as integer)') -}}
{% endmacro %}

{% macro spark__days_between(first, second) %}
    {{- return('datediff(' ~ second ~ ', ' ~ first ~ ')') -}}
{% endmacro %}

{% macro months_between(first, second) %}
    {{- return(
        "cast(12 * (extract(year from " ~ second ~ ") - extract(year from " ~ first ~ "))"
        ~ " + extract(month from " ~ second ~ ") - extract(month from " ~ first ~ ") as integer)"
    ) -}}
{% endmacro %}

{% macro seconds_between(first, second) %}
    {{- return(adapter.dispatch('seconds_between', 'sluice_macros')(first, second)) -}}
{% endmacro %}

{% macro default__seconds_between(first, second) %}
    {{- return('((epoch_us(' ~ second ~ ') - epoch_us(' ~ first ~ ')) / 1000000.0)') -}}
{% endmacro %}

{% macro postgres__seconds_between(first, second) %}
    {{- return('cast(extract(epoch from (' ~ second ~ ' - ' ~ first ~ ')) as double precision)') -}}
{% endmacro %}

{% macro spark__seconds_between(first, second) %}
    {{- return('((unix_micros(' ~ second ~ ') - unix_micros(' ~ first ~ ')) / 1000000.0D)') -}}
{% endmacro %}
