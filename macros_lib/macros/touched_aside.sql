{#-
    A rebuild in parts, for a history that is too large for one build. Days in `rebuilds` are owed; each build
    that is asked for some of them (`backfills`) writes these into a table aside, in one transaction with the books.
    Meanwhile the model's own table stays as it is. The build that finds nothing owed any more takes the table aside
    over. Its positions are those of the first part: what came since then is built as in every other build.
-#}

{#- What this build has to do for a rebuild in parts, or none where it has nothing to do with one. -#}
{% macro default__aside_plan(books, inputs) %}
    {%- set own = " where model = '" ~ model.name ~ "'" -%}
    {%- set owed = adapter.dispatch('days_in_book', 'sluice_macros')(books.rebuilds) -%}
    {%- set asked = adapter.dispatch('days_in_book', 'sluice_macros')(books.backfills) if owed else [] -%}
    {%- set positions = {} -%}
    {%- for row in run_query('select input, cast(position as ' ~ dbt.type_string() ~ ') from '
        ~ books.rebuild_progress ~ own) -%}
        {%- do positions.update({row[0]: row[1] | int}) -%}
    {%- endfor -%}
    {%- if positions and positions['(definition)'] != inputs[0].position -%}
        {#- Made of another definition: of no use any more. -#}
        {%- do adapter.dispatch('forget_aside', 'sluice_macros')(books) -%}
        {{- return(none) -}}
    {%- elif (owed and not asked) or not (owed or positions) -%}
        {{- return(none) -}}
    {%- endif -%}
    {%- set plan = {'aside': 'part', 'whole': false, 'empty': false, 'inputs': inputs, 'books': books, 'is_first': false} -%}
    {%- if not positions -%}
        {%- set start = adapter.dispatch('begin_aside', 'sluice_macros')(books, inputs) -%}
        {%- set positions = start.positions -%}
        {%- set owed = start.days -%}
        {%- do plan.update({'is_first': true}) -%}
    {%- elif not owed -%}
        {%- do plan.update({'aside': 'taken', 'whole': true}) -%}
    {%- endif -%}
    {%- set days = asked | select('in', owed) | list -%}
    {%- do plan.update({
        'positions': positions, 'days': days,
        'ranges': adapter.dispatch('ranges_of', 'sluice_macros')(days, 0, 0),
    }) -%}
    {{- return(plan) -}}
{% endmacro %}

{#- Every day that a whole rebuild would write, or would leave empty; and how far the inputs are read by it. -#}
{% macro default__begin_aside(books, inputs) %}
    {%- set own = "model = '" ~ model.name ~ "'" -%}
    {%- do adapter.dispatch('read_batches', 'sluice_macros')(books, inputs, {}) -%}
    {%- set positions = {} -%}
    {%- set ordinals = {} -%}
    {%- for input in inputs -%}
        {%- if input.kind == 'definition' -%}
            {%- do positions.update({input.name: input.position}) -%}
        {%- elif input.kind == 'whole' -%}
            {%- do positions.update({input.name: adapter.dispatch('content_checksum', 'sluice_macros')(input.relation)}) -%}
        {%- else -%}
            {%- set news = adapter.dispatch('touched_since', 'sluice_macros')(books, input, 0) -%}
            {%- do positions.update({input.name: news.position}) -%}
            {%- for day in news.days -%}
                {%- for offset in range(-input.before, input.after + 1) -%}
                    {%- do ordinals.update({day + offset: true}) -%}
                {%- endfor -%}
            {%- endfor -%}
        {%- endif -%}
    {%- endfor -%}
    {%- set days = ordinals.keys() | sort -%}
    {%- call statement('forget_owed') -%}
        delete from {{ books.rebuilds }} where {{ own }}
    {%- endcall -%}
    {%- if days -%}
        {%- call statement('owe_days') -%}
            insert into {{ books.rebuilds }} (model, partition_on) values
            {%- for day in days %}
            ('{{ model.name }}', {{ adapter.dispatch('ordinal_date', 'sluice_macros')(day) }}){{ ',' if not loop.last }}
            {%- endfor %}
        {%- endcall -%}
    {%- endif -%}
    {%- call statement('record_rebuild_positions') -%}
        insert into {{ books.rebuild_progress }} (model, input, position) values
        {%- for name, position in positions.items() %}
        ('{{ model.name }}', '{{ name }}', {{ position }}){{ ',' if not loop.last }}
        {%- endfor %}
    {%- endcall -%}
    {{- return({'positions': positions, 'days': days}) -}}
{% endmacro %}

{% macro default__aside_relation() %}
    {{- return(make_intermediate_relation(this.incorporate(type='table'), '__aside')) -}}
{% endmacro %}

{#- The days of this part into the table aside; gives the number of rows. -#}
{% macro default__build_part(books, sql, plan) %}
    {%- set building = adapter.dispatch('aside_relation', 'sluice_macros')() -%}
    {%- set own = "model = '" ~ model.name ~ "'" -%}
    {%- set written = adapter.dispatch('in_ranges', 'sluice_macros')('partition_on', plan.ranges) -%}
    {%- if plan.is_first -%}
        {%- do drop_relation_if_exists(load_cached_relation(building)) -%}
        {%- call statement('create') -%}
            {{ adapter.dispatch('create_empty', 'sluice_macros')(building, sql) }}
        {%- endcall -%}
    {%- endif -%}
    {%- if plan.ranges -%}
        {%- set insertion = adapter.dispatch('touched_insert', 'sluice_macros')(building, sql, plan) -%}
        {%- call statement('main') -%}{{ insertion }}{%- endcall -%}
    {%- endif -%}
    {%- for book in (books.rebuilds, books.backfills) -%}
        {%- call statement('forget_part') -%}
            delete from {{ book }} where {{ own }}{{ ' and ' ~ written if book == books.rebuilds }}
        {%- endcall -%}
    {%- endfor -%}
    {%- if not plan.ranges -%}
        {{- return(0) -}}
    {%- endif -%}
    {{- return(run_query('select cast(count(*) as ' ~ dbt.type_string() ~ ') from ' ~ building ~ ' where '
        ~ adapter.dispatch('in_ranges', 'sluice_macros')(config.get('partition_by'), plan.ranges))[0][0] | int) -}}
{% endmacro %}

{% macro default__forget_aside(books) %}
    {%- for book in (books.rebuilds, books.rebuild_progress) -%}
        {%- call statement('forget_aside') -%}
            delete from {{ book }} where model = '{{ model.name }}'
        {%- endcall -%}
    {%- endfor -%}
{% endmacro %}
