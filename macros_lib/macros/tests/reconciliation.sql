{#- Sums by group agree with another relation's, within a tolerance; a group that only one side has counts as 0
    on the other. `measures` maps an expression here to the one there (or lists expressions that are the same);
    use '1' to compare numbers of rows. -#}
{% test reconciles_with(
    model, to, measures, group_by=[], to_group_by=none, tolerance=0, condition=none, to_condition=none
) %}
{%- set pairs = measures if measures is mapping else dict(zip(measures, measures)) %}
{%- set theirs = to_group_by if to_group_by is not none else group_by %}
select *
from (
    select
        {%- for group in group_by %}
        group_{{ loop.index }},
        {%- endfor %}
        {%- for pair in pairs %}
        sum(own_{{ loop.index }}) as own_{{ loop.index }},
        sum(other_{{ loop.index }}) as other_{{ loop.index }}{{ ',' if not loop.last }}
        {%- endfor %}
    from (
        select
            {%- for group in group_by %}
            {{ group }} as group_{{ loop.index }},
            {%- endfor %}
            {%- for own, other in pairs.items() %}
            {{ own }} as own_{{ loop.index }}, 0 as other_{{ loop.index }}{{ ',' if not loop.last }}
            {%- endfor %}
        from {{ model }}
        where {{ condition or '1 = 1' }}
        union all
        select
            {%- for group in theirs %}
            {{ group }},
            {%- endfor %}
            {%- for own, other in pairs.items() %}
            0, {{ other }}{{ ',' if not loop.last }}
            {%- endfor %}
        from {{ to }}
        where {{ to_condition or '1 = 1' }}
    ) as both_sides
    {%- if group_by %}
    group by {% for group in group_by %}group_{{ loop.index }}{{ ', ' if not loop.last }}{% endfor %}
    {%- endif %}
) as totals
where 1 = 0
{%- for pair in pairs %}
    or abs(coalesce(own_{{ loop.index }}, 0) - coalesce(other_{{ loop.index }}, 0)) > {{ tolerance }}
{%- endfor %}
{% endtest %}

{#- The same rows as another relation, as often, in any order. -#}
{% test same_rows_as(model, to, columns) %}
{%- set list = columns | join(', ') %}
select 'missing' as difference, missing.*
from (select {{ list }} from {{ to }} except all select {{ list }} from {{ model }}) as missing
union all
select 'unexpected' as difference, unexpected.*
from (select {{ list }} from {{ model }} except all select {{ list }} from {{ to }}) as unexpected
{% endtest %}
