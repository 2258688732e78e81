"""The gate's rules as a file."""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.evaluator.domain.gate import Limits, Rule, RulesRefused, read_rules, rules_for

TOML = """
[[rules]]
name = "night-true-positives"
set = "night"
measure = "true positives"
at_least = 70

[[rules]]
name = "not-worse"
set = "test"
measure = "weighted log loss"
not_worse_than = "production"
confidence_percent = 90.0
"""


def one(**change: Any) -> str:
    rule = {"name": "a-rule", "set": "test", "measure": "errors", "at_most": 3} | change
    return json.dumps({"rules": [{key: value for key, value in rule.items() if value is not None}]})


def test_rules_of_a_toml_file_replace_the_domains() -> None:
    assert read_rules(TOML, "gate.toml") == (
        Rule("night-true-positives", "night", "true positives", "at least", 70),
        Rule("not-worse", "test", "weighted log loss", "not worse than production", 90.0),
    )


def test_json_says_the_same() -> None:
    assert read_rules(one(), "gate.json") == (Rule("a-rule", "test", "errors", "at most", 3),)


def test_the_domains_rules_can_be_written_as_a_file() -> None:
    bounds = {"at least": "at_least", "at most": "at_most"}
    written = [
        {"name": rule.name, "set": rule.set_name, "measure": rule.measure}
        | (
            {bounds[rule.bound]: rule.limit}
            if rule.bound in bounds
            else {"not_worse_than": "production", "confidence_percent": rule.limit}
        )
        for rule in rules_for(Limits())
    ]
    assert read_rules(json.dumps({"rules": written}), "gate.json") == rules_for(Limits())


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            one(at_most=None),
            r"gate.json, rule 1 \(a-rule\): say exactly one of at_least, at_most and not_worse",
        ),
        (one(at_least=1), "say exactly one of"),
        (one(at_most=2.5), "errors are counted: 2.5 must be a whole number"),
        (one(at_most=-1), "at_most: Input should be greater than or equal to 0"),
        (one(at_most="3"), "at_most: Input should be a valid number"),
        (one(measure="true positives", at_most=101), "101 must be a percentage"),
        (one(measure="accuracy"), "measure: Input should be 'images', 'errors'"),
        (one(measure="images"), "images are asked for by at_least"),
        (one(measure="true positives"), "true positives are asked for by at_least"),
        (one(at_least=3, at_most=None), "errors are asked for by at_most"),
        (one(set=" "), "set: String should have at least 1 character"),
        (one(measure="weighted log loss"), 'goes with not_worse_than = "production"'),
        (one(not_worse_than="production", at_most=None), 'goes with not_worse_than = "production"'),
        (one(confidence_percent=95.0), "confidence_percent goes with not_worse_than only"),
        (one(atmost=3), "atmost: Extra inputs are not permitted"),
        (one(name="No Name"), r"gate.json, rule 1 \(No Name\): name: String should match"),
        (one(set=""), "set: String should have at least 1 character"),
        ('{"rules": [3]}', "gate.json, rule 1: the rule: Input should be a valid dictionary"),
        ('{"rules": []}', 'must hold a list "rules" with at least one rule'),
        ('{"rules": 3}', 'must hold a list "rules"'),
        ('{"rules": [{}], "more": 1}', "and nothing else"),
        ("[]", 'must hold a list "rules"'),
        ("{", "gate.json cannot be read"),
        ('{"rules": [{"at_most": NaN}]}', "at_most: Input should be a finite number"),
    ],
)
def test_a_wrong_rule_is_refused_with_its_place_and_what_is_wrong(text: str, sentence: str) -> None:
    with pytest.raises(RulesRefused, match=sentence):
        read_rules(text, "gate.json")


def test_a_broken_toml_file_and_another_kind_of_file_are_refused() -> None:
    with pytest.raises(RulesRefused, match=r"gate\.toml cannot be read: .*line 1"):
        read_rules("[[rules]", "gate.toml")
    with pytest.raises(RulesRefused, match=r"gate\.yaml: .* ends in \.toml or \.json"):
        read_rules("", "gate.yaml")


def test_a_name_that_is_used_twice_is_refused() -> None:
    twice = json.dumps({"rules": json.loads(one())["rules"] * 2})
    with pytest.raises(RulesRefused, match="two rules are called a-rule"):
        read_rules(twice, "gate.json")


@pytest.mark.parametrize("written", ["Out of scope", "out_of_scope", " OUT-OF-SCOPE "])
def test_a_set_of_the_gates_is_meant_however_it_is_spelled_as_in_the_library(written: str) -> None:
    (rule,) = read_rules(one(set=written), "gate.json")
    assert rule.set_name == "out-of-scope"
    assert read_rules(one(set=" Night Walk "), "gate.json")[0].set_name == "Night Walk"
