{#- Bounds are SQL expressions; a null is not out of range. -#}
{% test accepted_range(model, column_name, min_value=none, max_value=none, inclusive=true) %}
{%- if min_value is none and max_value is none -%}
    {{ exceptions.raise_compiler_error('accepted_range of ' ~ column_name ~ ' needs min_value or max_value.') }}
{%- endif %}
select {{ column_name }}
from {{ model }}
where 1 = 0
{%- if min_value is not none %}
    or {{ column_name }} {{ '<' if inclusive else '<=' }} {{ min_value }}
{%- endif %}
{%- if max_value is not none %}
    or {{ column_name }} {{ '>' if inclusive else '>=' }} {{ max_value }}
{%- endif %}
{% endtest %}

{#- Holds in every row: a null is not true, and so fails. -#}
{% test expression_holds(model, expression) %}
select *
from {{ model }}
where not coalesce({{ expression }}, false)
{% endtest %}

{#- The newest value is at most so many hours before as_of(), and none lies after it. An empty table fails. -#}
{% test recency(model, column_name, hours) %}
{%- set now = adapter.dispatch('timestamp_literal', 'sluice_macros')(
    adapter.dispatch('as_of_instant', 'sluice_macros')()) -%}
{%- set newest = 'cast(newest.newest_at as ' ~ adapter.dispatch('type_instant', 'sluice_macros')() ~ ')' %}
select newest.newest_at
from (select max({{ column_name }}) as newest_at from {{ model }}) as newest
where newest.newest_at is null
    or {{ newest }} > {{ now }}
    or {{ newest }} < {{ adapter.dispatch('add_seconds', 'sluice_macros')(now, -3600 * hours) }}
{% endtest %}

{% macro default__type_instant() %}{{ return('timestamp with time zone') }}{% endmacro %}

{% macro spark__type_instant() %}{{ return('timestamp') }}{% endmacro %}
