{#-
    Incremental models that follow change instead of history. Each build finds the days that new
    batches (or the builds of a parent) touched, and rebuilds exactly these days.
    The compiled SQL of such a model is its full definition: touched() and within_touched() are
    marks, which the materialization replaces by the days of this build.
-#}

{#- Rows of a source that lie in touched days: read only from the batches that hold such days. -#}
{% macro touched(partition, source=none) %}
    {{- return(adapter.dispatch('touched_mark', 'sluice_macros')(
        {'rows': 'source', 'partition': partition, 'source': source | join('.') if source else none}
    )) -}}
{% endmacro %}

{#- Rows of a model that lie in touched days, or up to so many days before or after them. -#}
{% macro within_touched(partition, before=0, after=0) %}
    {{- return(adapter.dispatch('touched_mark', 'sluice_macros')(
        {'rows': 'model', 'partition': partition, 'before': before, 'after': after}
    )) -}}
{% endmacro %}

{% macro default__touched_mark(mark) %}
    {%- if execute and model.resource_type == 'model' and config.get('materialized') != 'touched_partitions' -%}
        {{ exceptions.raise_compiler_error(
            model.name ~ ": write materialized='touched_partitions' (without incremental_strategy): only that "
            ~ 'replaces touched() and within_touched() by the days of a build (macros_lib/README.md).') }}
    {%- endif -%}
    {%- set text = tojson(mark) -%}
    {%- if '*/' in text -%}
        {{ exceptions.raise_compiler_error(
            'touched(): the expression ' ~ mark.partition ~ ' holds a comment; write it without.') }}
    {%- endif -%}
    {{- return('(/*sluice.touched ' ~ text ~ '*/ true)') -}}
{% endmacro %}

{% materialization touched_partitions, default %}
    {%- set plan_of = adapter.dispatch('touched_plan', 'sluice_macros') -%}
    {%- set target_relation = this.incorporate(type='table') -%}
    {%- set existing = load_cached_relation(this) -%}
    {%- set intermediate = make_intermediate_relation(target_relation) -%}
    {%- set backup = make_backup_relation(target_relation, existing.type if existing else 'table') -%}
    {#- What a killed run may have left. -#}
    {%- do drop_relation_if_exists(load_cached_relation(intermediate)) -%}
    {%- do drop_relation_if_exists(load_cached_relation(backup)) -%}
    {%- set books = adapter.dispatch('touched_books', 'sluice_macros')() -%}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}

    {#- From here to the commit everything is one transaction: rows, touches and positions. -#}
    {%- call statement('snapshot') -%}
        {{ adapter.dispatch('one_snapshot', 'sluice_macros')() }}
    {%- endcall -%}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {%- set plan = plan_of(books, existing) -%}
    {%- if plan.aside == 'part' -%}
        {%- set count = adapter.dispatch('build_part', 'sluice_macros')(books, sql, plan) -%}
        {%- do store_raw_result('main', code='OK', rows_affected=count,
            message=count ~ ' rows in ' ~ plan.days | length ~ ' days, aside', agate_table=none) -%}
        {{ run_hooks(post_hooks, inside_transaction=True) }}
        {%- do adapter.commit() -%}
        {{ run_hooks(post_hooks, inside_transaction=False) }}
        {{ return({'relations': []}) }}
    {%- elif plan.aside == 'taken' -%}
        {%- set building = adapter.dispatch('aside_relation', 'sluice_macros')() -%}
    {%- elif plan.whole -%}
        {%- set building = target_relation if existing is none else intermediate -%}
        {%- call statement('create') -%}
            {{ adapter.dispatch('create_empty', 'sluice_macros')(building, sql) }}
        {%- endcall -%}
    {%- else -%}
        {%- set building = target_relation -%}
    {%- endif -%}

    {%- if plan.empty or not (plan.whole or plan.ranges) -%}
        {%- call noop_statement('main', message='nothing touched', code='OK', rows_affected=0) -%}
            -- No new batch touches this model.
        {%- endcall -%}
        {%- if plan.passed_over -%}
            {%- do adapter.dispatch('touched_positions', 'sluice_macros')(books, plan, "model = '" ~ model.name ~ "'") -%}
        {%- endif -%}
    {%- else -%}
        {%- if plan.aside -%}
            {%- do adapter.dispatch('forget_aside', 'sluice_macros')(books) -%}
        {%- else -%}
            {%- set insertion = adapter.dispatch('touched_insert', 'sluice_macros')(building, sql, plan) -%}
            {%- if not plan.whole -%}
                {%- call statement('delete') -%}
                    delete from {{ building }}
                    where {{ adapter.dispatch('in_ranges', 'sluice_macros')(config.get('partition_by'), plan.ranges) }}
                {%- endcall -%}
            {%- endif -%}
            {%- call statement('main') -%}{{ insertion }}{%- endcall -%}
        {%- endif -%}
        {%- set count = adapter.dispatch('touched_record', 'sluice_macros')(books, building, plan) -%}
        {%- do store_raw_result(
            'main', code='OK', rows_affected=count,
            message=count ~ ' rows in ' ~ ('all' if plan.whole else plan.days | length) ~ ' days',
            agate_table=none) -%}
    {%- endif -%}

    {%- if plan.whole -%}
        {%- do adapter.dispatch('touched_index', 'sluice_macros')(building) -%}
        {%- do create_indexes(building) -%}
        {%- if existing is not none -%}
            {%- do adapter.rename_relation(existing, backup) -%}
        {%- endif -%}
        {%- if building.identifier != target_relation.identifier -%}
            {%- do adapter.rename_relation(building, target_relation) -%}
        {%- endif -%}
    {%- endif -%}

    {%- set revoke = should_revoke(existing, full_refresh_mode=plan.whole) -%}
    {%- do apply_grants(target_relation, config.get('grants'), should_revoke=revoke) -%}
    {%- do persist_docs(target_relation, model) -%}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {%- do adapter.commit() -%}

    {%- if plan.whole and existing is not none -%}
        {%- do adapter.drop_relation(backup) -%}
    {%- endif -%}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}
