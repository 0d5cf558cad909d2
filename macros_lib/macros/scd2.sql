{#- The history of an entity from its change log: one row per version.
    Repeated changes and changes that alter no attribute make no version; of several changes at
    one instant the last by tie-breaker counts; a deletion is a version with the last known
    attributes and is_deleted. -#}
{% macro scd2_from_change_log(
    relation, key, changed_at='changed_at', op='op', attributes=[], tie_breaker='change_id', deleted='delete'
) %}
{%- set keys = key if key is string else key | join(', ') -%}
select
    {{ keys }},
    {%- for attribute in attributes %}
    {{ attribute }},
    {%- endfor %}
    valid_from,
    lead(valid_from) over (partition by {{ keys }} order by valid_from) as valid_to,
    lead(valid_from) over (partition by {{ keys }} order by valid_from) is null as is_current,
    is_deleted
from (
    select
        *,
        case
            when row_number() over (partition by {{ keys }} order by valid_from) = 1 then true
            {%- for attribute in attributes + ['is_deleted'] %}
            when (
                {{ attribute }} is distinct from
                lag({{ attribute }}) over (partition by {{ keys }} order by valid_from)
            ) then true
            {%- endfor %}
            else false
        end as is_new_version
    from (
        select
            {{ keys }},
            {%- for attribute in attributes %}
            first_value({{ attribute }}) over (
                partition by {{ keys }}, image_number order by valid_from
            ) as {{ attribute }},
            {%- endfor %}
            valid_from,
            is_deleted
        from (
            select
                *,
                -- A deletion carries only the key: it belongs to the image before it.
                sum(case when is_deleted then 0 else 1 end) over (
                    partition by {{ keys }} order by valid_from
                ) as image_number
            from (
                select
                    {{ keys }},
                    {%- for attribute in attributes %}
                    {{ attribute }},
                    {%- endfor %}
                    {{ changed_at }} as valid_from,
                    {{ op }} = '{{ deleted }}' as is_deleted,
                    row_number() over (
                        partition by {{ keys }}, {{ changed_at }} order by {{ tie_breaker }} desc
                    ) as rank_at_instant
                from {{ relation }}
            ) as changes
            where rank_at_instant = 1
        ) as images
    ) as filled
) as versions
where is_new_version
{%- endmacro %}
