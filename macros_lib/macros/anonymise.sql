{#- Each of these macros declares in its YAML how it anonymises (config.meta.anonymises), and wraps what it makes in
    anonymised(): column lineage then sees that it did, and looks whether it does what it declares. -#}

{#- The expression alone; when lineage compiles the project, in a mark with the macro's name. -#}
{% macro default__anonymised(name, expression) %}
    {%- set mark = env_var('SLUICE_LINEAGE_MARK', '') -%}
    {{- return(mark ~ "('" ~ name ~ "', " ~ expression ~ ')' if mark else expression) -}}
{% endmacro %}

{#- The same value gives the same hash as in a masked column (warehouse/masks.py), so that joins and distinct counts
    still work. -#}
{% macro anonymise_hash(column) %}
    {%- set key = adapter.dispatch('mask_key', 'sluice_macros')() -%}
    {%- set inner = adapter.dispatch('sha256_text', 'sluice_macros')(
        key ~ " || ':' || cast(" ~ column ~ ' as ' ~ dbt.type_string() ~ ')') -%}
    {%- set outer = adapter.dispatch('sha256_text', 'sluice_macros')(key ~ " || ':' || " ~ inner) -%}
    {{- return(adapter.dispatch('anonymised', 'sluice_macros')('anonymise_hash', 'left(' ~ outer ~ ', 32)')) -}}
{% endmacro %}

{#- The connection knows the key, so that no SQL, log or compiled file shows it; without a key a hash is null. -#}
{% macro default__mask_key() %}{{ return("getvariable('sluice_mask_key')") }}{% endmacro %}

{% macro postgres__mask_key() %}{{ return("current_setting('sluice.mask_key')") }}{% endmacro %}

{% macro spark__mask_key() %}{{ return("'${sluice.mask_key}'") }}{% endmacro %}

{% macro default__sha256_text(text) %}{{ return('sha256(' ~ text ~ ')') }}{% endmacro %}

{% macro postgres__sha256_text(text) %}
    {{- return("encode(sha256(convert_to(" ~ text ~ ", 'UTF8')), 'hex')") -}}
{% endmacro %}

{% macro spark__sha256_text(text) %}{{ return('sha2(' ~ text ~ ', 256)') }}{% endmacro %}

{#- At most three characters stay: more tell people apart. -#}
{% macro anonymise_truncate(column, keep=1) %}
    {{- return(adapter.dispatch('anonymised', 'sluice_macros')('anonymise_truncate',
        '(left(cast(' ~ column ~ ' as ' ~ dbt.type_string() ~ '), ' ~ keep ~ ") || '***')")) -}}
{% endmacro %}

{#- A value is shown only where it stands for at least k people: `group_size` counts them, distinctly. -#}
{% macro anonymise_aggregate(value, group_size, k=10) %}
    {{- return(adapter.dispatch('anonymised', 'sluice_macros')('anonymise_aggregate',
        'case when ' ~ group_size ~ ' >= ' ~ k ~ ' then ' ~ value ~ ' end')) -}}
{% endmacro %}
