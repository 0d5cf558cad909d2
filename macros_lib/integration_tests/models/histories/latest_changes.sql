-- One row per account: its last change.
{{ sluice_macros.deduplicate_latest(ref('account_changes'), 'account_id', ['changed_at desc', 'change_id desc']) }}
