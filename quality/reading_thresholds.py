"""From the YAML of a threshold to comparisons with numbers."""

from __future__ import annotations

from collections.abc import Mapping

from yaml import Node

from quality.strict_yaml import Entry, StrictYaml
from quality.thresholds import (
    COMPARISONS,
    LOWER_BOUNDS,
    RANGES,
    UPPER_BOUNDS,
    Comparison,
    Level,
    Threshold,
)
from quality.vocabulary import PERCENT_ALLOWED

AT_MOST = ("must_be_less_than", "must_be_less_than_or_equal")


def threshold(yaml: StrictYaml, node: Node, kind: str) -> Threshold:
    given = yaml.mapping(node, "a threshold")
    # How far from usual: there is no such thing as too close.
    words = AT_MOST if kind == "anomaly" else COMPARISONS
    yaml.known(given, (*words, "metric", "level", "additional"), "a threshold")
    percent = False
    if "metric" in given:
        metric = yaml.text(given["metric"][1], "metric")
        yaml.one_of(given["metric"][1], metric, ("count", "percent"), "metric")
        percent = metric == "percent"
        if percent and kind not in PERCENT_ALLOWED:
            raise yaml.error(given["metric"][1], f"`{kind}` has no percentage")
    first = _comparison(yaml, node, given)
    if "additional" not in given:
        return Threshold(first, None, percent)
    inner = given["additional"][1]
    nested = yaml.mapping(inner, "`additional`")
    yaml.known(nested, (*words, "level"), "`additional`")
    second = _comparison(yaml, inner, nested)
    if second.level == first.level:
        raise yaml.error(inner, f"both thresholds have the level `{first.level}`")
    return Threshold(first, second, percent)


def _comparison(yaml: StrictYaml, node: Node, given: Mapping[str, Entry]) -> Comparison:
    words = [word for word in COMPARISONS if word in given]
    if len(words) != 1:
        raise yaml.error(
            node, f"a threshold needs exactly one comparison, this one has {len(words)}"
        )
    level: Level = "fail"
    if "level" in given:
        spelt = yaml.text(given["level"][1], "level")
        yaml.one_of(given["level"][1], spelt, ("fail", "warn"), "level")
        level = "warn" if spelt == "warn" else "fail"
    value = given[words[0]][1]
    if words[0] not in RANGES:
        return Comparison(words[0], yaml.number(value, words[0]), level)
    return Comparison(words[0], _bounds(yaml, value, words[0]), level)


def _bounds(yaml: StrictYaml, node: Node, word: str) -> dict[str, float]:
    given = yaml.mapping(node, f"`{word}`")
    yaml.known(given, (*LOWER_BOUNDS, *UPPER_BOUNDS), f"`{word}`")
    bounds = {each: yaml.number(value, each) for each, (_, value) in given.items()}
    lower = [bounds[each] for each in LOWER_BOUNDS if each in bounds]
    upper = [bounds[each] for each in UPPER_BOUNDS if each in bounds]
    if len(lower) != 1 or len(upper) != 1:
        raise yaml.error(node, f"`{word}` needs one lower and one upper bound")
    inverted = lower[0] > upper[0] if word == "must_be_between" else lower[0] < upper[0]
    if inverted:
        raise yaml.error(node, f"the bounds of `{word}` are the wrong way round")
    return bounds
