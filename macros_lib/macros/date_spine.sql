{#- Every day, week or month from start to end, both included: a subquery with one column. -#}

{% macro date_spine(start, end, grain='day', column=none) %}
    {%- if grain not in ('day', 'week', 'month') -%}
        {{ exceptions.raise_compiler_error("date_spine: grain is day, week or month, not '" ~ grain ~ "'.") }}
    {%- endif -%}
    {%- set first = start if grain == 'day' else "date_trunc('" ~ grain ~ "', cast(" ~ start ~ " as date))" -%}
    {{- return(adapter.dispatch('date_spine', 'sluice_macros')(
        'cast(' ~ first ~ ' as date)', 'cast(' ~ end ~ ' as date)', grain, column or grain ~ '_on')) -}}
{% endmacro %}

{% macro default__date_spine(start, end, grain, column) %}
(
    select cast(unnest(generate_series({{ start }}, {{ end }}, interval '1 {{ grain }}')) as date) as {{ column }}
)
{%- endmacro %}

{% macro postgres__date_spine(start, end, grain, column) %}
(
    select cast(spine_instant as date) as {{ column }}
    from generate_series(
        cast({{ start }} as timestamp), cast({{ end }} as timestamp), interval '1 {{ grain }}'
    ) as spine(spine_instant)
)
{%- endmacro %}

{% macro spark__date_spine(start, end, grain, column) %}
(
    select explode(sequence({{ start }}, {{ end }}, interval 1 {{ grain }})) as {{ column }}
)
{%- endmacro %}
