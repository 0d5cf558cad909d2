{#- Each of these macros declares in its YAML that it anonymises (config.meta.anonymises). -#}

{#- The same value gives the same hash, so that joins and distinct counts still work. -#}
{% macro anonymise_hash(column) %}
    {%- set key = env_var('SLUICE_ANONYMISE_KEY', 'sluice') | replace("'", "''") -%}
    {{- return(adapter.dispatch('sha256_text', 'sluice_macros')(
        "'" ~ key ~ ":' || cast(" ~ column ~ ' as ' ~ dbt.type_string() ~ ')')) -}}
{% endmacro %}

{% macro default__sha256_text(text) %}{{ return('sha256(' ~ text ~ ')') }}{% endmacro %}

{% macro postgres__sha256_text(text) %}
    {{- return("encode(sha256(convert_to(" ~ text ~ ", 'UTF8')), 'hex')") -}}
{% endmacro %}

{% macro spark__sha256_text(text) %}{{ return('sha2(' ~ text ~ ', 256)') }}{% endmacro %}

{% macro anonymise_truncate(column, keep=1) %}
    {{- return('(left(cast(' ~ column ~ ' as ' ~ dbt.type_string() ~ '), ' ~ keep ~ ") || '***')") -}}
{% endmacro %}

{#- A value is shown only where it stands for at least k entities. -#}
{% macro anonymise_aggregate(value, group_size, k=10) %}
    {{- return('case when ' ~ group_size ~ ' >= ' ~ k ~ ' then ' ~ value ~ ' end') -}}
{% endmacro %}
