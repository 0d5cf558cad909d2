-- One row per day, channel and campaign, in its latest export.
with exports as (
    select * from {{ source('crm', 'campaign_spend') }}
),

latest as (
    {{ deduplicate_latest(
        'exports',
        ['spend_on', 'channel', 'campaign'],
        ['exported_at desc', 'amount desc'],
    ) }}
)

select
    spend_on,
    channel,
    campaign,
    currency,
    amount,
    impression_count,
    click_count,
    exported_at
from latest
