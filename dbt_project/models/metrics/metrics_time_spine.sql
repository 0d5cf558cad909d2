-- One row per day from 2024-01-01 to 2030-12-31: the calendar that metrics are laid along.
select day_on
from {{ date_spine("'2024-01-01'", "'2030-12-31'") }} as spine
