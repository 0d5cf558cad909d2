-- No row at all.
select order_id, ordered_at from {{ ref('rows_good') }} where 1 = 0
