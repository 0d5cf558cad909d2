-- One row per account: the change that must be its last.
{{ values_of({'account_id': 'varchar', 'change_id': 'varchar'}, [['acc_1', 'c08'], ['acc_2', 'c12'], ['acc_3', 'c21']]) }}
