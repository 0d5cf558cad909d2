-- One row per week in which an account signed up and step of the funnel, reached or not.
{% set steps = ['signed_up', 'teammate_invited', 'integration_connected', 'report_created', 'report_shared'] %}

with journeys as (
    select * from {{ ref('fct_activation') }}
),

-- The linter sees what the loops write, which is not indented.
-- noqa: disable=LT02
weekly as (
    select
        {{ week_start('signed_up_on') }} as week_on,
        {%- for step in steps %}
        count({{ step }}_at) as {{ step }}_count{{ ',' if not loop.last }}
        {%- endfor %}
    from journeys
    group by {{ week_start('signed_up_on') }}
),

steps as (
    {%- for step in steps %}
    select
        week_on,
        {{ loop.index }} as step_number,
        '{{ step }}' as step,
        {{ step }}_count as account_count,
        {{ steps[loop.index0 - 1] if loop.index0 else step }}_count as previous_account_count
    from weekly
    {{ 'union all' if not loop.last }}
    {%- endfor %}
)

select
    week_on,
    step_number,
    step,
    account_count,
    previous_account_count
from steps
