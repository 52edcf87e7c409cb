"""What Terraform itself says of deploy/functiongraph: formatted, valid, and wrong values and words refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.workspace import SOURCE, Workspace

pytestmark = pytest.mark.skipif(shutil.which("terraform") is None, reason="terraform is not installed")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Give a copy of the files, in which Terraform works offline."""
    return Workspace(tmp_path)


def test_the_files_are_formatted_and_valid(workspace: Workspace) -> None:
    """As `terraform fmt` writes them, and without a word from `terraform validate`."""
    assert workspace.run("fmt", "-check", "-diff", "-recursive")[0] == 0
    code, said = workspace.run("validate", "-json")
    report = json.loads(said)
    assert (code, report["valid"], report["error_count"]) == (0, True, 0)


def test_the_example_is_enough(workspace: Workspace) -> None:
    """With the example's values, and nothing else, there is a plan."""
    example = SOURCE / "terraform.tfvars.example"
    shutil.copy(example, workspace.path / "terraform.tfvars")
    code, said = workspace.run("plan", "-no-color", "-input=false")
    assert code == 0, said
    assert "Plan: 13 to add, 0 to change, 0 to destroy." in said


def test_unfilled_it_says_what_is_missing(workspace: Workspace) -> None:
    """Project and image have no default."""
    code, said = workspace.plan(projects=None, image_url=None)
    assert code == 1
    for name in ("projects", "image_url"):
        assert f'The root module input variable "{name}" is not set' in said


def test_bad_values_are_refused_each_by_its_own_words(workspace: Workspace) -> None:
    """Every variable has its rule, and says what would be right."""
    code, said = workspace.plan(
        projects=[{"id": "7f2a/../x", "name": "landing-zone"}] * 2,
        image_url="swr.eu-de.otc.t-systems.com/my-organisation/doorman:latest",
        name="Doorman",
        mode="on",
        sweep_every="90s",
        timeout=70,
        check_budget=20,
        memory=128,
        max_instances=0,
        notice_topic_urns=["image-traces"],
        alert_emails=["cloud-team"],
        log_days=0,
    )
    assert code == 1
    unboxed = said.replace("│ ", "")
    for message in (
        "a project ID is 1 to 64 of A-Z a-z 0-9 _ -",
        "Name each project once.",
        "A project's name begins with its region",
        "and a tag that says which one it is: not latest.",
        "2 to 40 lower-case letters, digits and hyphens",
        "Either audit or enforce.",
        "1m to 59m, or 1h to 24h.",
        "at least 60 above check_budget",
        "One of 256, 512, 768, 1024, 1536, 2048",
        "1 to 100.",
        "Each is a topic URN",
        "Expected mail addresses.",
        "1 to 365.",
    ):
        assert message in unboxed, message


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"region": "eu-fr"}, "T Cloud Public has the regions eu-de and eu-nl."),
        ({"is_chained": False}, "allow 300 seconds at least"),
        ({"timeout": 901}, "At most 900, the engine's own bound"),
        ({"check_budget": 1.5}, "A whole number from 1."),
        ({"image_url": "docker.io/doorman:1"}, "Expected swr.<region>.otc.t-systems.com/"),
    ],
)
def test_values_that_only_together_are_bad(workspace: Workspace, values: dict[str, Any], message: str) -> None:
    """Rules that look at two variables, or at one bound alone."""
    code, said = workspace.plan(**values)
    assert (code, message in said.replace("│ ", "")) == (1, True), said
