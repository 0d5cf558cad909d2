{#- Before `dbt build` or `dbt run` builds anything in the platform's warehouse: what do the gates say?
    A run of Sluice has asked already; a database of one's own is not asked about. -#}
{% macro consult_gates() %}
    {%- if execute and flags.WHICH in ('build', 'run', 'retry') -%}
        {%- set models = [] -%}
        {%- for each in selected_resources if each.startswith('model.') -%}
            {%- do models.append("'" ~ each ~ "'") -%}
        {%- endfor -%}
        {%- if models -%}
            {%- set why_not = adapter.dispatch('gates_say', 'sluice_macros')(models) -%}
            {%- if why_not -%}
                {%- do exceptions.raise_compiler_error(why_not) -%}
            {%- endif -%}
        {%- endif -%}
    {%- endif -%}
    {{- return('') -}}
{% endmacro %}

{#- The function is Sluice's own (quality/dbt_guard.py). -#}
{% macro duckdb__gates_say(models) %}
    {{- return(run_query(
        'select sluice_consult_gates([' ~ models | join(', ') ~ "], (select path from duckdb_databases()"
        ~ ' where database_name = current_database()))')[0][0]) -}}
{% endmacro %}

{#- A server has no function of ours to ask. There, only a run of Sluice builds into the shared schemas. -#}
{% macro postgres__gates_say(models) %}
    {%- if env_var('SLUICE_GATES_WERE_ASKED', '') -%}
        {{- return('') -}}
    {%- endif -%}
    {{- return(
        'Nothing was built: dbt started by hand does not know the gates of this warehouse. '
        ~ '`sluice run --select ' ~ models[0].strip("'").split('.')[-1] ~ '` asks them first.') -}}
{% endmacro %}
