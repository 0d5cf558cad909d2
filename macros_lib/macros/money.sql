{#- Money is decimal; rounding is half away from zero on every engine we use. -#}

{% macro convert_currency(amount, rate) %}
    {{- return(
        'cast(round(cast(' ~ amount ~ ' as decimal(18, 4)) * cast(' ~ rate ~ ' as decimal(18, 6)), 2)'
        ~ ' as decimal(18, 2))'
    ) -}}
{% endmacro %}

{#- A ratio, null where the divisor is zero or null. Never for money: the result is a float. -#}
{% macro safe_divide(numerator, denominator) %}
    {%- set double = adapter.dispatch('type_double', 'sluice_macros')() -%}
    {{- return('(cast(' ~ numerator ~ ' as ' ~ double ~ ') / nullif(cast(' ~ denominator ~ ' as ' ~ double ~ '), 0))') -}}
{% endmacro %}

{#- A measured value that is no money, as a float of 64 bits. -#}
{% macro as_double(value) %}
    {{- return('cast(' ~ value ~ ' as ' ~ adapter.dispatch('type_double', 'sluice_macros')() ~ ')') -}}
{% endmacro %}

{% macro default__type_double() %}{{ return('double') }}{% endmacro %}

{% macro postgres__type_double() %}{{ return('double precision') }}{% endmacro %}
