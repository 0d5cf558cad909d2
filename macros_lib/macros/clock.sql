{#- What "now" is: the instant a run pins (SLUICE_AS_OF), else the start of the run. -#}

{% macro as_of() %}
    {{- return(adapter.dispatch('timestamp_literal', 'sluice_macros')(
        adapter.dispatch('as_of_instant', 'sluice_macros')())) -}}
{% endmacro %}

{% macro last_day() %}
    {%- set day = adapter.dispatch('as_of_instant', 'sluice_macros')() - modules.datetime.timedelta(days=1) -%}
    {{- return("cast('" ~ day.strftime('%Y-%m-%d') ~ "' as date)") -}}
{% endmacro %}

{% macro default__as_of_instant() %}
    {%- set pinned = env_var('SLUICE_AS_OF', '') -%}
    {%- if not pinned -%}
        {{- return(run_started_at.astimezone(modules.pytz.utc)) -}}
    {%- endif -%}
    {%- set instant = modules.datetime.datetime.fromisoformat(pinned.replace('Z', '+00:00')) -%}
    {%- if instant.tzinfo is none -%}
        {{- return(modules.pytz.utc.localize(instant)) -}}
    {%- endif -%}
    {{- return(instant.astimezone(modules.pytz.utc)) -}}
{% endmacro %}

{% macro default__timestamp_literal(instant) %}
    {{- return("cast('" ~ instant.strftime('%Y-%m-%d %H:%M:%S.%f') ~ "+00:00' as timestamp with time zone)") -}}
{% endmacro %}

{% macro spark__timestamp_literal(instant) %}
    {{- return("cast('" ~ instant.strftime('%Y-%m-%d %H:%M:%S.%f') ~ "+00:00' as timestamp)") -}}
{% endmacro %}
