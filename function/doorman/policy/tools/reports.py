"""What was found in policies and their tests, in the forms that pipelines read: JSON, JUnit, SARIF."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal
from xml.etree import ElementTree as ET

from doorman.version import VERSION

Level = Literal["pass", "warning", "error"]
FORMATS: Final = ("text", "json", "junit", "sarif")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One line of an answer, about a place in a file; `name` is the case's or the check's."""

    file: str
    line: int
    column: int
    level: Level
    name: str
    message: str


def write(found: Sequence[Found], form: str, *, is_strict: bool = False) -> str:
    """Write them; with `is_strict` a warning fails as an error does."""
    if form == "json":
        return json.dumps([asdict(each) for each in found], indent=2)
    return _junit(found, is_strict=is_strict) if form == "junit" else json.dumps(_sarif(found), indent=2)


def _junit(found: Sequence[Found], *, is_strict: bool) -> str:
    failing = {"error", "warning"} if is_strict else {"error"}
    failed = sum(each.level in failing for each in found)
    root = ET.Element("testsuites", tests=str(len(found)), failures=str(failed))
    suite = ET.SubElement(root, "testsuite", name="doorman policy", tests=str(len(found)), failures=str(failed))
    for each in found:
        name = each.name if each.level == "pass" else f"{each.name} ({each.line}:{each.column})"
        case = ET.SubElement(suite, "testcase", classname=each.file, name=name, file=each.file, line=str(each.line))
        if each.level in failing:
            ET.SubElement(case, "failure", message=each.message).text = f"{each.file}:{each.line}: {each.message}"
        elif each.level == "warning":
            ET.SubElement(case, "system-out").text = f"warning: {each.message}"
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True)


def _sarif(found: Sequence[Found]) -> dict[str, Any]:
    """See https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html."""
    rules = [{"id": name} for name in sorted({each.name for each in found})]
    driver = {"name": "doorman", "version": VERSION, "rules": rules}
    results = [
        {
            "ruleId": each.name,
            "level": "none" if each.level == "pass" else each.level,
            "kind": "pass" if each.level == "pass" else "fail",
            "message": {"text": each.message},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": each.file},
                        "region": {"startLine": each.line, "startColumn": each.column},
                    }
                }
            ],
        }
        for each in found
    ]
    schema = "https://json.schemastore.org/sarif-2.1.0.json"
    return {"$schema": schema, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}
