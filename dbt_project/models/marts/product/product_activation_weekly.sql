-- One row per week in which an account signed up.
with activation as (
    select * from {{ ref('fct_activation') }}
),

weekly as (
    select
        {{ week_start('signed_up_on') }} as week_on,
        count(*) as signed_up_count,
        cast(sum(case when is_activated then 1 else 0 end) as bigint) as activated_count
    from activation
    group by {{ week_start('signed_up_on') }}
)

select
    week_on,
    signed_up_count,
    activated_count
from weekly
