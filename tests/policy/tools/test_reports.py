"""Writes what was found as pipelines read it: whole values in each form."""

import json
from xml.etree import ElementTree as ET

from doorman.policy.tools.reports import Found, write
from doorman.version import VERSION

FOUND = [
    Found(file="p.yaml", line=3, column=9, level="error", name="policy", message='`a` < `b` & "c"'),
    Found(file="p.yaml", line=4, column=1, level="warning", name="policy", message="late"),
    Found(file="c.yaml", line=2, column=1, level="pass", name="a golden image", message="a golden image"),
]


def test_json_is_a_list_of_findings() -> None:
    """As they are, in order."""
    assert json.loads(write(FOUND[:1], "json")) == [
        {"file": "p.yaml", "line": 3, "column": 9, "level": "error", "name": "policy", "message": '`a` < `b` & "c"'}
    ]


def test_junit_counts_failures() -> None:
    """An error is one; a warning only where warnings fail."""
    plain, strict = (ET.fromstring(write(FOUND, "junit", is_strict=is_strict)) for is_strict in (False, True))
    assert [(root.get("tests"), root.get("failures")) for root in (plain, strict)] == [("3", "1"), ("3", "2")]
    told = [
        (case.get("name"), [(child.tag, child.get("message") or child.text) for child in case]) for case in plain[0]
    ]
    assert told == [
        ("policy (3:9)", [("failure", '`a` < `b` & "c"')]),
        ("policy (4:1)", [("system-out", "warning: late")]),
        ("a golden image", []),
    ]


def test_sarif_has_a_place_for_each() -> None:
    """Version 2.1.0, by which code hosts show findings at their lines."""
    written = json.loads(write(FOUND[1:], "sarif"))
    [run] = written["runs"]
    assert (written["version"], run["tool"]["driver"]) == (
        "2.1.0",
        {"name": "doorman", "version": VERSION, "rules": [{"id": "a golden image"}, {"id": "policy"}]},
    )
    assert run["results"][0] == {
        "ruleId": "policy",
        "level": "warning",
        "kind": "fail",
        "message": {"text": "late"},
        "locations": [
            {"physicalLocation": {"artifactLocation": {"uri": "p.yaml"}, "region": {"startLine": 4, "startColumn": 1}}}
        ],
    }
    assert [(each["level"], each["kind"]) for each in run["results"]] == [("warning", "fail"), ("none", "pass")]
