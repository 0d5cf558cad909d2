{#- Versions are half open: valid_from belongs to the version, valid_to to the next; null is "until now". -#}

{#- Fails on versions that overlap, that end before or when they begin, or that share a beginning. -#}
{% test no_validity_overlap(model, key, valid_from='valid_from', valid_to='valid_to') %}
{%- set keys = key if key is string else key | join(', ') %}
select *
from (
    select
        {{ keys }},
        {{ valid_from }},
        {{ valid_to }},
        lead({{ valid_from }}) over (
            partition by {{ keys }}
            order by {{ valid_from }}, case when {{ valid_to }} is null then 1 else 0 end, {{ valid_to }}
        ) as next_from
    from {{ model }}
) as versions
where {{ valid_from }} is null
    or {{ valid_to }} <= {{ valid_from }}
    or next_from <= {{ valid_from }}
    or next_from < {{ valid_to }}
    or ({{ valid_to }} is null and next_from is not null)
{% endtest %}

{#- Fails where a version ends and the next begins later, and on a key without a current version. -#}
{% test no_validity_gap(model, key, valid_from='valid_from', valid_to='valid_to') %}
{%- set keys = key if key is string else key | join(', ') %}
select *
from (
    select
        {{ keys }},
        {{ valid_from }},
        {{ valid_to }},
        lead({{ valid_from }}) over (
            partition by {{ keys }}
            order by {{ valid_from }}, case when {{ valid_to }} is null then 1 else 0 end, {{ valid_to }}
        ) as next_from
    from {{ model }}
) as versions
where next_from > {{ valid_to }}
    or (next_from is null and {{ valid_to }} is not null)
{% endtest %}

{#- Every row finds exactly one version of its parent at the row's own instant; a null key is not looked up. -#}
{% test relationship_as_of(
    model, column_name, to, at, field=none, valid_from='valid_from', valid_to='valid_to'
) %}
select child.child_key, child.child_at, count(parent.parent_key) as version_count
from (
    select {{ column_name }} as child_key, {{ at }} as child_at
    from {{ model }}
    where {{ column_name }} is not null
) as child
left join (
    select {{ field or column_name }} as parent_key, {{ valid_from }} as parent_from, {{ valid_to }} as parent_to
    from {{ to }}
) as parent
    on child.child_key = parent.parent_key
    and child.child_at >= parent.parent_from
    and (child.child_at < parent.parent_to or parent.parent_to is null)
group by child.child_key, child.child_at
having count(distinct parent.parent_from) <> 1
{% endtest %}
