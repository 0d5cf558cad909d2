-- One row per plan that can be subscribed to.
with plans as (
    select * from {{ ref('plans') }}
)

select
    plan_id,
    name as plan_name,
    cast(rank as integer) as plan_rank,
    cast(monthly_seat_amount as decimal(18, 2)) as monthly_seat_amount,
    cast(yearly_seat_amount as decimal(18, 2)) as yearly_seat_amount
from plans
