-- One row, a minute after now.
{{ values_of({'happened_at': 'timestamp with time zone'}, [['2026-04-01 00:01:00+00:00']]) }}
