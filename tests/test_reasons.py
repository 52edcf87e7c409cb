"""Each reason why a share ended as it did is made in one module, so that its truth is judged in one place."""

import ast
from pathlib import Path

import doorman
from doorman.models import Reason

PACKAGE = Path(doorman.__file__).parent


def list_made(path: Path) -> set[str]:
    """List the reasons that a module makes: all that it names, but to compare, to ask a set of them, or as a word."""
    tree = ast.parse(path.read_text("utf-8"))
    asked = {each for node in ast.walk(tree) for each in find_asked(node)}
    named = [node for node in ast.walk(tree) if is_reason(node) and node not in asked]
    return {node.attr for node in named if isinstance(node, ast.Attribute)}


def find_asked(node: ast.AST) -> list[ast.AST]:
    """Find the reasons that this node only asks for or shows."""
    match node:
        case ast.Compare():
            return list(ast.walk(node))
        case ast.Set() | ast.Tuple() if all(map(is_reason, node.elts)):
            return list(node.elts)
        case ast.Attribute(attr="value") | ast.FormattedValue():
            return [node.value]
        case _:
            return []


def is_reason(node: ast.AST) -> bool:
    """Say whether this is a member of the enum."""
    match node:
        case ast.Attribute(value=ast.Name(id="Reason")):
            return True
        case _:
            return False


def test_each_reason_is_made_by_one_module() -> None:
    """The policy says what it wants, planning how images end; nobody else has a say, and no word is without a maker."""
    makers: dict[str, list[str]] = {reason.name: [] for reason in Reason}
    for path in sorted(PACKAGE.rglob("*.py")):
        for name in list_made(path):
            makers[name].append(path.relative_to(PACKAGE).as_posix())
    assert {name: paths for name, paths in makers.items() if len(paths) != 1} == {}
    found = {path for paths in makers.values() for path in paths}
    assert found == {"planning/image_usage.py", "planning/outcomes.py", "policy/decision.py"}
