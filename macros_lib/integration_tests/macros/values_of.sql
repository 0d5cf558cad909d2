{#- Rows given as text, as a select that every engine reads. -#}
{% macro values_of(columns, rows) %}
{%- for row in rows %}
select {% for column, type in columns.items() -%}
    cast({{ 'null' if row[loop.index0] is none else "'" ~ row[loop.index0] ~ "'" }} as {{ type }}) as {{ column }}
    {{- ', ' if not loop.last }}
{%- endfor %}
{{- '\nunion all' if not loop.last }}
{%- endfor %}
{% endmacro %}

{#- Fails inside the transaction of a build when the environment asks for it. -#}
{% macro fail_when_asked() %}
    {%- if env_var('SLUICE_TEST_FAIL', '') == model.name -%}select cast('asked to fail' as integer){%- endif -%}
    {%- if env_var('SLUICE_TEST_HANG', '') == model.name -%}
        select count(*) from generate_series(1, 1000000) as a, generate_series(1, 1000000) as b
    {%- endif -%}
{% endmacro %}
