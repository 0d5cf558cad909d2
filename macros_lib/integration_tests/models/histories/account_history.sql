-- One row per version of an account.
{{ sluice_macros.scd2_from_change_log(ref('account_changes'), key='account_id', attributes=['name', 'seat_count']) }}
