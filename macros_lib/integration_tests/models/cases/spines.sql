-- One row per date of three spines.
select 'day' as grain, day_on as spine_on
from {{ sluice_macros.date_spine("cast('2025-02-27' as date)", "cast('2025-03-02' as date)") }} as days
union all
select 'week', week_on
from {{ sluice_macros.date_spine("cast('2025-01-01' as date)", "cast('2025-01-13' as date)", 'week') }} as weeks
union all
select 'month', opened_on
from {{ sluice_macros.date_spine("cast('2024-12-15' as date)", "cast('2025-02-01' as date)", 'month', 'opened_on') }} as months
union all
select 'nothing', day_on
from {{ sluice_macros.date_spine("cast('2025-02-27' as date)", "cast('2025-02-26' as date)") }} as none_at_all
