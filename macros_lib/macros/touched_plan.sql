{#- What a touched_partitions model has to do in this build, and the books it keeps about it.
    Books: progress (how far each input was read), touches (the last build that touched a day),
    batch_partitions (which batches of a source hold which days), row_counts (how many rows a day held when
    it was built), backfills (days that are asked for, whatever the inputs say), sealed (days of which a source has
    let rows go since they were built: the model alone holds them, so it keeps them as they are), rebuilds and
    rebuild_progress (a rebuild in parts: touched_aside.sql). -#}

{#- The tables, created when missing. -#}
{% macro default__touched_books() %}
    {%- set schema = generate_schema_name('platform', model) -%}
    {%- set text = dbt.type_string() -%}
    {%- set columns = {
        'progress': 'model ' ~ text ~ ' not null, input ' ~ text ~ ' not null, position bigint not null',
        'touches': 'model ' ~ text ~ ' not null, build_id bigint not null, partition_on date not null',
        'batch_partitions': 'model ' ~ text ~ ' not null, input ' ~ text
            ~ ' not null, batch_id bigint not null, partition_on date not null',
        'row_counts': 'model ' ~ text ~ ' not null, partition_on date not null, row_count bigint not null',
        'backfills': 'model ' ~ text ~ ' not null, partition_on date not null',
        'sealed': 'model ' ~ text ~ ' not null, input ' ~ text ~ ' not null, partition_on date not null, position bigint',
        'rebuilds': 'model ' ~ text ~ ' not null, partition_on date not null',
        'rebuild_progress': 'model ' ~ text ~ ' not null, input ' ~ text ~ ' not null, position bigint not null',
    } -%}
    {%- set books = {} -%}
    {%- for name, definition in columns.items() -%}
        {%- set book = api.Relation.create(database=this.database, schema=schema, identifier=name, type='table') -%}
        {%- if adapter.get_relation(book.database, book.schema, name) is none -%}
            {%- do adapter.create_schema(book) -%}
            {%- call statement('create_book') -%}
                create table if not exists {{ book }} ({{ definition }})
                {{- adapter.dispatch('table_format', 'sluice_macros')() }}
            {%- endcall -%}
            {%- do adapter.commit() -%}
            {%- do adapter.cache_added(book) -%}
        {%- endif -%}
        {%- do books.update({name: book}) -%}
    {%- endfor -%}
    {{- return(books) -}}
{% endmacro %}

{% macro default__table_format() %}{{ return('') }}{% endmacro %}

{% macro spark__table_format() %}{{ return(' using iceberg') }}{% endmacro %}

{#- DuckDB reads one snapshot from its first statement on. -#}
{% macro default__one_snapshot() %}select 1{% endmacro %}

{#- The first statement of a transaction decides; dbt's driver has already begun one. -#}
{% macro postgres__one_snapshot() %}commit; begin transaction isolation level repeatable read{% endmacro %}

{#- whole (rebuild everything, and why), days and ranges to rebuild, positions to move to. -#}
{% macro default__touched_plan(books, existing) %}
    {%- set inputs = adapter.dispatch('touched_inputs', 'sluice_macros')() -%}
    {%- set empty = flags.EMPTY or false -%}
    {%- set known = {} -%}
    {%- if existing is not none and existing.is_table and not should_full_refresh() -%}
        {%- for row in run_query('select input, cast(position as ' ~ dbt.type_string() ~ ') from '
            ~ books.progress ~ " where model = '" ~ model.name ~ "'") -%}
            {%- do known.update({row[0]: row[1] | int}) -%}
        {%- endfor -%}
    {%- endif -%}
    {%- if empty -%}
        {{- return({'whole': existing is none, 'empty': true, 'days': [], 'ranges': []}) -}}
    {%- endif -%}
    {%- set aside = none if should_full_refresh() else adapter.dispatch('aside_plan', 'sluice_macros')(books, inputs) -%}
    {%- if aside -%}
        {{- return(aside) -}}
    {%- endif -%}

    {%- set positions = {} -%}
    {%- for input in inputs if input.kind in ('definition', 'whole') -%}
        {%- do positions.update({input.name: input.position if input.kind == 'definition'
            else adapter.dispatch('content_checksum', 'sluice_macros')(input.relation)}) -%}
    {%- endfor -%}
    {%- set whole = [] -%}
    {%- for input in inputs -%}
        {%- if input.name not in known or positions.get(input.name, known[input.name]) != known[input.name] -%}
            {%- do whole.append(input.name) -%}
        {%- endif -%}
    {%- endfor -%}

    {%- set sealed = adapter.dispatch('sealed_days', 'sluice_macros')(books, is_whole=whole | length > 0) -%}
    {%- do adapter.dispatch('read_batches', 'sluice_macros')(books, inputs, {} if whole else known) -%}
    {%- set ordinals = {} -%}
    {%- for input in inputs if input.kind in ('source', 'model') -%}
        {%- set position = 0 if whole else known[input.name] -%}
        {%- set news = adapter.dispatch('touched_since', 'sluice_macros')(books, input, position) -%}
        {%- do positions.update({input.name: news.position}) -%}
        {%- for day in news.days if not whole -%}
            {%- for offset in range(-input.before, input.after + 1) -%}
                {%- do ordinals.update({day + offset: true}) -%}
            {%- endfor -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- for day in adapter.dispatch('days_in_book', 'sluice_macros')(books.backfills) if not whole -%}
        {%- do ordinals.update({day: true}) -%}
    {%- endfor -%}
    {%- set days = ordinals.keys() | reject('in', sealed) | sort -%}
    {{- return({
        'whole': whole | length > 0, 'empty': false, 'inputs': inputs, 'positions': positions, 'days': days,
        'passed_over': ordinals | length - days | length,
        'ranges': adapter.dispatch('ranges_of', 'sluice_macros')(days, 0, 0), 'books': books,
    }) -}}
{% endmacro %}

{#- The days (as ordinals) that cannot be built again; whoever asks for everything is told so. -#}
{% macro default__sealed_days(books, is_whole) %}
    {%- set ordinals = [] -%}
    {%- set inputs = [] -%}
    {%- for row in run_query('select distinct cast(partition_on as ' ~ dbt.type_string() ~ '), input from '
        ~ books.sealed ~ " where model = '" ~ model.name ~ "'") -%}
        {%- do ordinals.append(modules.datetime.date.fromisoformat((row[0] | string)[:10]).toordinal()) -%}
        {%- do inputs.append(row[1]) -%}
    {%- endfor -%}
    {%- if ordinals and is_whole -%}
        {%- set date_of = modules.datetime.date.fromordinal -%}
        {{ exceptions.raise_compiler_error(
            model.name ~ ' stays as it is: by the retention of ' ~ inputs | unique | sort | join(', ')
            ~ ', rows of ' ~ ordinals | unique | list | length ~ ' days (' ~ date_of(ordinals | min) ~ ' to '
            ~ date_of(ordinals | max) ~ ') are gone from raw; built whole, it would lose them. `sluice replay '
            ~ inputs[0].split('.')[0] ~ '` puts back what landing has; `sluice retention accept` takes the loss.') }}
    {%- endif -%}
    {{- return(ordinals) -}}
{% endmacro %}

{#- The declared inputs, and the model's own definition: when that changes, all is rebuilt. -#}
{% macro default__touched_inputs() %}
    {%- set declared = config.get('touched_by') or [] -%}
    {%- if not declared or not config.get('partition_by') -%}
        {{ exceptions.raise_compiler_error(model.name
            ~ ': a touched_partitions model needs partition_by and touched_by in its config.') }}
    {%- endif -%}
    {%- set text = sql.split() | join(' ') ~ (model.contract.checksum or '') ~ tojson(declared)
        ~ config.get('partition_by') -%}
    {%- set inputs = [{'kind': 'definition', 'name': '(definition)',
        'position': local_md5(text)[:15] | int(0, 16)}] -%}
    {%- for input in declared -%}
        {%- if input.source is defined -%}
            {%- do inputs.append({'kind': 'source', 'name': input.source | join('.'), 'before': 0, 'after': 0,
                'relation': source(input.source[0], input.source[1]), 'partition': input.partition}) -%}
        {%- elif input.model is defined -%}
            {%- do inputs.append({'kind': 'model', 'name': input.model,
                'before': input.reach_before | default(0), 'after': input.reach_after | default(0)}) -%}
        {%- elif input.whole is defined -%}
            {%- do inputs.append({'kind': 'whole', 'name': input.whole, 'relation': ref(input.whole)}) -%}
        {%- else -%}
            {{ exceptions.raise_compiler_error(model.name ~ ': touched_by knows source, model and whole, not '
                ~ tojson(input) ~ '.') }}
        {%- endif -%}
    {%- endfor -%}
    {{- return(inputs) -}}
{% endmacro %}

{#- Note which days the batches after the positions hold; without positions begin anew.
    One insert for all sources: see touched_create.sql. -#}
{% macro default__read_batches(books, inputs, known) %}
    {%- set selects = [] -%}
    {%- for input in inputs if input.kind == 'source' -%}
        {%- do selects.append(
            "select distinct '" ~ model.name ~ "', '" ~ input.name ~ "', _batch_id, " ~ input.partition
            ~ ' from ' ~ input.relation ~ ' where _batch_id > ' ~ known.get(input.name, -1)
            ~ ' and ' ~ input.partition ~ ' is not null') -%}
    {%- endfor -%}
    {%- if selects and not known -%}
        {%- call statement('forget_batches') -%}
            delete from {{ books.batch_partitions }} where model = '{{ model.name }}'
        {%- endcall -%}
    {%- endif -%}
    {%- if selects -%}
        {%- call statement('read_batches') -%}
            insert into {{ books.batch_partitions }} (model, input, batch_id, partition_on)
            {{ selects | join(' union all ') }}
        {%- endcall -%}
    {%- endif -%}
{% endmacro %}

{#- Days touched after the position (as ordinals), and the position they lead to. -#}
{% macro default__touched_since(books, input, position) %}
    {%- if input.kind == 'source' -%}
        {%- set mark = 'batch_id' -%}
        {%- set of_input = books.batch_partitions ~ " where model = '" ~ model.name ~ "' and input = '" ~ input.name ~ "'" -%}
    {%- else -%}
        {%- set mark = 'build_id' -%}
        {%- set of_input = books.touches ~ " where model = '" ~ input.name ~ "'" -%}
    {%- endif -%}
    {%- set days = [] -%}
    {%- set positions = [position] -%}
    {%- for row in run_query(
        'select cast(partition_on as ' ~ dbt.type_string() ~ '), cast(max(' ~ mark ~ ') as ' ~ dbt.type_string() ~ ')'
        ~ ' from ' ~ of_input ~ ' and ' ~ mark ~ ' > ' ~ position ~ ' group by partition_on') -%}
        {%- do days.append(modules.datetime.date.fromisoformat((row[0] | string)[:10]).toordinal()) -%}
        {%- do positions.append(row[1] | int) -%}
    {%- endfor -%}
    {{- return({'days': days, 'position': positions | max}) -}}
{% endmacro %}

{#- The model's own days in a book, as ordinals. -#}
{% macro default__days_in_book(book) %}
    {%- set days = [] -%}
    {%- for row in run_query('select distinct cast(partition_on as ' ~ dbt.type_string() ~ ') from '
        ~ book ~ " where model = '" ~ model.name ~ "'") -%}
        {%- do days.append(modules.datetime.date.fromisoformat((row[0] | string)[:10]).toordinal()) -%}
    {%- endfor -%}
    {{- return(days | sort) -}}
{% endmacro %}

{#- Neighbouring days, widened, as [first, last] pairs: short SQL that prunes well. -#}
{% macro default__ranges_of(days, before, after, gap=1) %}
    {%- set ranges = [] -%}
    {%- for day in days -%}
        {%- if ranges and day - before <= ranges[-1][1] + gap -%}
            {%- do ranges.append([ranges.pop()[0], day + after]) -%}
        {%- else -%}
            {%- do ranges.append([day - before, day + after]) -%}
        {%- endif -%}
    {%- endfor -%}
    {{- return(ranges) -}}
{% endmacro %}

{% macro default__in_ranges(expression, ranges) %}
    {%- set literal = adapter.dispatch('ordinal_date', 'sluice_macros') -%}
    {%- set parts = [] -%}
    {%- for first, last in ranges -%}
        {%- do parts.append(expression ~ ' between ' ~ literal(first) ~ ' and ' ~ literal(last)) -%}
    {%- endfor -%}
    {{- return('(' ~ parts | join(' or ') ~ ')' if parts else '(1 = 0)') -}}
{% endmacro %}

{% macro default__ordinal_date(day) %}
    {{- return("cast('" ~ modules.datetime.date.fromordinal(day).isoformat() ~ "' as date)") -}}
{% endmacro %}

{#- A number that changes with the content of a small relation. -#}
{% macro default__content_checksum(relation) %}
    {%- set expression = adapter.dispatch('row_checksum', 'sluice_macros')() -%}
    {{- return(run_query('select cast(coalesce(sum(' ~ expression ~ '), 0) as ' ~ dbt.type_string() ~ ') from '
        ~ relation ~ ' as hashed')[0][0] | int) -}}
{% endmacro %}

{% macro default__row_checksum() %}{{ return('cast(hash(hashed) % 1000000007 as bigint)') }}{% endmacro %}

{% macro postgres__row_checksum() %}{{ return('abs(hashtext(cast(hashed as text))::bigint)') }}{% endmacro %}

{% macro spark__row_checksum() %}{{ return('abs(xxhash64(struct(hashed.*)) % 1000000007)') }}{% endmacro %}
