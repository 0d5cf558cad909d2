{#- An instant by a wrong clock, put right: moved by as much as that clock is behind the right one. Both clocks told the
    same moment: `by_wrong` and `by_right`. On DuckDB whole microseconds are a third cheaper than an interval. -#}
{% macro clock_corrected(instant, by_wrong, by_right) %}
    {{- return(adapter.dispatch('clock_corrected', 'sluice_macros')(instant, by_wrong, by_right)) -}}
{% endmacro %}

{% macro default__clock_corrected(instant, by_wrong, by_right) %}
    {{- return(
        'make_timestamptz(epoch_us(' ~ instant ~ ') + epoch_us(' ~ by_right ~ ') - epoch_us(' ~ by_wrong ~ '))') -}}
{% endmacro %}

{% macro postgres__clock_corrected(instant, by_wrong, by_right) %}
    {{- return('(' ~ instant ~ ' + (' ~ by_right ~ ' - ' ~ by_wrong ~ '))') -}}
{% endmacro %}

{% macro spark__clock_corrected(instant, by_wrong, by_right) %}
    {{- return(
        'timestamp_micros(unix_micros(' ~ instant ~ ') + unix_micros(' ~ by_right ~ ') - unix_micros(' ~ by_wrong ~ '))'
    ) -}}
{% endmacro %}
