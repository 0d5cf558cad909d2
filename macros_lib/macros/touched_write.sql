{#- Writing a touched_partitions model: the rows of the touched days in time order, then the books. -#}

{% macro default__touched_insert(relation, sql, plan) %}
    {%- set partition = config.get('partition_by') -%}
    {%- set sort_by = config.get('sort_by') or [] -%}
    {%- set order = [partition] + ([sort_by] if sort_by is string else sort_by) -%}
    {%- set columns = adapter.get_columns_in_relation(relation) | map(attribute='quoted') | join(', ') -%}
    {%- set definition = adapter.dispatch('resolve_touched', 'sluice_macros')(sql, plan) -%}
insert into {{ relation }} ({{ columns }})
select {{ columns }}
from (
{{ definition }}
) as recomputed
{%- if not plan.whole %}
where {{ adapter.dispatch('in_ranges', 'sluice_macros')(partition, plan.ranges) }}
{%- endif %}
order by {{ order | join(', ') }}
{% endmacro %}

{#- The definition with every mark replaced by the days of this build. -#}
{% macro default__resolve_touched(sql, plan) %}
    {%- set pattern = '/\\*sluice\\.touched (\\{.*?\\})\\*/ true' -%}
    {%- set resolved = namespace(sql=sql) -%}
    {%- for text in modules.re.findall(pattern, sql, modules.re.DOTALL) if not plan.whole -%}
        {%- set mark = fromjson(text) -%}
        {%- if mark.rows == 'source' -%}
            {%- set predicate = adapter.dispatch('touched_source_rows', 'sluice_macros')(mark, plan) -%}
        {%- else -%}
            {%- set ranges = adapter.dispatch('ranges_of', 'sluice_macros')(plan.days, mark.before, mark.after) -%}
            {%- set predicate = adapter.dispatch('in_ranges', 'sluice_macros')(mark.partition, ranges) -%}
        {%- endif -%}
        {%- set resolved.sql = resolved.sql.replace('/*sluice.touched ' ~ text ~ '*/ true', predicate) -%}
    {%- endfor -%}
    {{- return(resolved.sql) -}}
{% endmacro %}

{#- A source lies in order of arrival: the batches that hold touched days are few and prune well. -#}
{% macro default__touched_source_rows(mark, plan) %}
    {%- set sources = plan.inputs | selectattr('kind', 'equalto', 'source') | map(attribute='name') | list -%}
    {%- if mark.source is none and sources | length != 1 or mark.source is not none and mark.source not in sources -%}
        {{ exceptions.raise_compiler_error(model.name ~ ": touched() needs source=['name', 'table'], one of touched_by: "
            ~ sources | join(', ') ~ '.') }}
    {%- endif -%}
    {%- set batches = [] -%}
    {%- for row in run_query(
        'select distinct cast(batch_id as ' ~ dbt.type_string() ~ ') from ' ~ plan.books.batch_partitions
        ~ " where model = '" ~ model.name ~ "' and input = '" ~ (mark.source or sources[0]) ~ "' and "
        ~ adapter.dispatch('in_ranges', 'sluice_macros')('partition_on', plan.ranges)) -%}
        {%- do batches.append(row[0] | int) -%}
    {%- endfor -%}
    {#- Batches of other tables lie between; reading up to 100 too many beats a long list of ranges. -#}
    {%- set parts = [] -%}
    {%- for first, last in adapter.dispatch('ranges_of', 'sluice_macros')(batches | sort, 0, 0, gap=100) -%}
        {%- do parts.append('_batch_id between ' ~ first ~ ' and ' ~ last) -%}
    {%- endfor -%}
    {{- return('((' ~ (parts | join(' or ') or '1 = 0') ~ ') and '
        ~ adapter.dispatch('in_ranges', 'sluice_macros')(mark.partition, plan.ranges) ~ ')') -}}
{% endmacro %}

{#- Own touches under a new build id, rows of each day, own positions; gives the number of rows written. -#}
{% macro default__touched_record(books, relation, plan) %}
    {%- set own = "model = '" ~ model.name ~ "'" -%}
    {%- set partition = config.get('partition_by') -%}
    {%- set build = run_query(
        'select cast(coalesce(max(build_id), 0) + 1 as ' ~ dbt.type_string() ~ ') from (select build_id from '
        ~ books.touches ~ ' where ' ~ own ~ ' union all select position from ' ~ books.progress
        ~ " where input = '" ~ model.name ~ "') as builds")[0][0] | int -%}
    {%- set touched_days = adapter.dispatch('touched_days_sql', 'sluice_macros')(books, relation, plan) -%}
    {%- set among = '' if plan.whole
        else ' and ' ~ adapter.dispatch('in_ranges', 'sluice_macros')('partition_on', plan.ranges) -%}
    {%- call statement('record_touches') -%}
        insert into {{ books.touches }} (model, build_id, partition_on)
        select '{{ model.name }}', {{ build }}, day_on from ({{ touched_days }}) as touched_days
    {%- endcall -%}
    {%- call statement('forget_touches') -%}
        delete from {{ books.touches }} where {{ own }} and build_id < {{ build }}{{ among }}
    {%- endcall -%}
    {%- do adapter.dispatch('touched_row_counts', 'sluice_macros')(books, relation, plan, own) -%}
    {%- do adapter.dispatch('touched_positions', 'sluice_macros')(books, plan, own) -%}
    {{- return(run_query('select cast(count(*) as ' ~ dbt.type_string() ~ ') from ' ~ relation
        ~ ('' if plan.whole else ' where ' ~ adapter.dispatch('in_ranges', 'sluice_macros')(partition, plan.ranges))
        )[0][0] | int) -}}
{% endmacro %}

{#- How far the inputs are read, and that nothing is asked for any more. -#}
{% macro default__touched_positions(books, plan, own) %}
    {%- call statement('forget_backfills') -%}
        delete from {{ books.backfills }} where {{ own }}
    {%- endcall -%}
    {%- call statement('forget_positions') -%}
        delete from {{ books.progress }} where {{ own }}
    {%- endcall -%}
    {%- call statement('record_positions') -%}
        insert into {{ books.progress }} (model, input, position) values
        {%- for name, position in plan.positions.items() %}
        ('{{ model.name }}', '{{ name }}', {{ position }}){{ ',' if not loop.last }}
        {%- endfor %}
    {%- endcall -%}
{% endmacro %}

{#- Also of days that hold no row: so it is known that they were built. Counted whole the first time. -#}
{% macro default__touched_row_counts(books, relation, plan, own) %}
    {%- set partition = config.get('partition_by') -%}
    {%- set is_whole = plan.whole or run_query('select count(*) from ' ~ books.row_counts ~ ' where ' ~ own)[0][0] == 0 -%}
    {%- set ranges = adapter.dispatch('in_ranges', 'sluice_macros')('partition_on', plan.ranges) -%}
    {%- set among = '' if is_whole else ' and ' ~ ranges -%}
    {%- call statement('forget_row_counts') -%}
        delete from {{ books.row_counts }} where {{ own }}{{ among }}
    {%- endcall -%}
    {%- call statement('record_row_counts') -%}
        insert into {{ books.row_counts }} (model, partition_on, row_count)
        select '{{ model.name }}', built.partition_on, coalesce(held.row_count, 0)
        from (
            select partition_on from {{ books.touches }} where {{ own }}{{ among }}
            union select partition_on from {{ books.batch_partitions }} where {{ own }}{{ among }}
        ) as built
        left join (
            select {{ partition }} as partition_on, count(*) as row_count from {{ relation }}
            {%- if not is_whole %}
            where {{ adapter.dispatch('in_ranges', 'sluice_macros')(partition, plan.ranges) }}
            {%- endif %}
            group by {{ partition }}
        ) as held on built.partition_on = held.partition_on
    {%- endcall -%}
{% endmacro %}

{#- After a whole rebuild also the days that the table no longer has: who reads it must drop them. -#}
{% macro default__touched_days_sql(books, relation, plan) %}
    {%- if plan.whole -%}
        {{- return(
            'select partition_on as day_on from ' ~ books.touches ~ " where model = '" ~ model.name ~ "'"
            ~ ' union select distinct ' ~ config.get('partition_by') ~ ' from ' ~ relation) -}}
    {%- endif -%}
    {%- set days = [] -%}
    {%- for first, last in plan.ranges -%}
        {%- do days.append('select day_on from ' ~ adapter.dispatch('date_spine', 'sluice_macros')(
            adapter.dispatch('ordinal_date', 'sluice_macros')(first),
            adapter.dispatch('ordinal_date', 'sluice_macros')(last), 'day', 'day_on') ~ ' as days') -%}
    {%- endfor -%}
    {{- return(days | join(' union all ')) -}}
{% endmacro %}

{#- DuckDB prunes a table kept in time order by itself. -#}
{% macro default__touched_index(relation) %}{% endmacro %}

{% macro postgres__touched_index(relation) %}
    {%- do run_query('create index on ' ~ relation ~ ' (' ~ config.get('partition_by') ~ ')') -%}
{% endmacro %}
