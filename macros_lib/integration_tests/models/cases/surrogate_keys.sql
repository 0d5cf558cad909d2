-- One row per pair of values that must not share a key, or that must.
with pairs as (
    {{ values_of({'pair': 'varchar', 'a': 'varchar', 'b': 'varchar'}, [
        ['null is not empty', none, 'x'], ['null is not empty', '', 'x'],
        ['the border counts', 'ab', 'c'], ['the border counts', 'a', 'bc'],
        ['a mark is no value', '~', none], ['a mark is no value', none, '~'],
        ['a separator is no border', '1:a', ''], ['a separator is no border', '', '1:a'],
    ]) }}
)

select pair, count(distinct {{ sluice_macros.surrogate_key(['a', 'b']) }}) as key_count, 2 as expected_count
from pairs
group by pair
union all
select
    'types of one value agree',
    case
        when {{ sluice_macros.surrogate_key(['cast(1 as integer)']) }} = {{ sluice_macros.surrogate_key(['cast(1 as bigint)']) }}
            and {{ sluice_macros.surrogate_key(['cast(1 as integer)']) }} = {{ sluice_macros.surrogate_key(["'1'"]) }}
            then 1
        else 2
    end,
    1
