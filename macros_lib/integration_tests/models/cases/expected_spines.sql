-- One row per date that the spines must have.
{{ values_of({'grain': 'varchar', 'spine_on': 'date'}, [
    ['day', '2025-02-27'], ['day', '2025-02-28'], ['day', '2025-03-01'], ['day', '2025-03-02'],
    ['week', '2024-12-30'], ['week', '2025-01-06'], ['week', '2025-01-13'],
    ['month', '2024-12-01'], ['month', '2025-01-01'], ['month', '2025-02-01'],
]) }}
