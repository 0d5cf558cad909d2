{#- One row per key: the first in the given order (say `updated_at desc, version desc`). -#}

{% macro deduplicate_latest(relation, partition_by, order_by) %}
    {%- set keys = partition_by if partition_by is string else partition_by | join(', ') -%}
    {%- set order = order_by if order_by is string else order_by | join(', ') -%}
    {{- return(adapter.dispatch('deduplicate_latest', 'sluice_macros')(relation, keys, order)) -}}
{% endmacro %}

{% macro default__deduplicate_latest(relation, keys, order) %}
select *
from {{ relation }}
qualify row_number() over (partition by {{ keys }} order by {{ order }}) = 1
{%- endmacro %}

{% macro postgres__deduplicate_latest(relation, keys, order) %}
select distinct on ({{ keys }}) *
from {{ relation }}
order by {{ keys }}, {{ order }}
{%- endmacro %}

{% macro spark__deduplicate_latest(relation, keys, order) %}
select candidate.*
from (
    select
        struct(*) as candidate,
        row_number() over (partition by {{ keys }} order by {{ order }}) as candidate_rank
    from {{ relation }}
) as ranked
where candidate_rank = 1
{%- endmacro %}
