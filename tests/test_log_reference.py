"""docs/observability.md explains every line that the product logs."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PRODUCT = ROOT / "function" / "doorman"
LEVELS = {"debug", "info", "warning", "error", "exception"}


def logged() -> set[str]:
    """Give the event names of all log lines in the code, the sandbox aside."""
    files = [file for file in PRODUCT.rglob("*.py") if "sandbox" not in file.relative_to(PRODUCT).parts]
    calls = [
        node for file in files for node in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(node, ast.Call)
    ]
    return {
        str(call.args[0].value)
        for call in calls
        if isinstance(call.func, ast.Attribute)
        and call.func.attr in LEVELS
        and call.args
        and isinstance(call.args[0], ast.Constant)
    }


def test_every_line_is_explained() -> None:
    """A new one is not told to anybody before it stands in the table."""
    text = (ROOT / "docs" / "observability.md").read_text("utf-8")
    explained = set(re.findall(r"(?m)^\| `([a-z_.]+)` \| ", text))
    names = logged()
    assert names - explained == set()
    assert "event.handled" in names
