"""What Terraform says of deploy/functiongraph-sender, what an apply makes, and whether that starts the function."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from doorman.settings import Settings
from doorman.sinks.huaweicloud import Target
from tests.deploy.workspace import ROOT, Workspace

pytestmark = pytest.mark.skipif(shutil.which("terraform") is None, reason="terraform is not installed")

SOURCE = ROOT / "deploy" / "functiongraph-sender"
RECEIVER = "7f2a9c4e1b6d4f0e8a3c5d7b9e1f2a4c"
FILLED_IN = {
    "project": "eu-de_image-factory",
    "image_url": "swr.eu-de.otc.t-systems.com/my-organisation/doorman-sender:2026-01-31",
    "sink": "https://doorman.example.com/doorman/default",
    "receivers": [RECEIVER],
}
TOPIC = "urn:smn:eu-de:5a1f0c7e2b944d0f8d3c6b7a8e9f0012:share-notices"
FUNCTION = "opentelekomcloud_fgs_function_v2.sender"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Give a copy of the files, in which Terraform works offline."""
    return Workspace(tmp_path, source=SOURCE, filled_in=FILLED_IN)


def settings_of(made: Mapping[str, Any]) -> Settings:
    """Read the environment that the function is started with, as it does."""
    environment = json.loads(made[FUNCTION]["user_data"])
    return Settings.from_environ(environment, is_sink_required=False, is_login_required=False)


def test_the_files_are_formatted_and_the_example_is_enough(workspace: Workspace) -> None:
    """As `terraform fmt` writes them; with the example's values, and nothing else, there is a plan."""
    assert workspace.run("fmt", "-check", "-diff", "-recursive")[0] == 0
    shutil.copy(SOURCE / "terraform.tfvars.example", workspace.path / "terraform.tfvars")
    code, said = workspace.run("plan", "-no-color", "-input=false")
    assert (code, "Plan: 6 to add, 0 to change, 0 to destroy." in said) == (0, True), said


def test_a_url_takes_no_right_at_all(workspace: Workspace) -> None:
    """The function has no agency and is lent no keys; the engine's own pulls, logs and hears."""
    made = workspace.apply()
    assert sorted(made) == [
        "opentelekomcloud_fgs_async_invoke_config_v2.sender",
        FUNCTION,
        "opentelekomcloud_fgs_trigger_v2.traces",
        "opentelekomcloud_identity_agency_v3.engine",
        "opentelekomcloud_lts_group_v2.log",
        "opentelekomcloud_lts_stream_v2.log",
    ]
    assert made[FUNCTION]["enable_auth_in_header"] is False
    trigger = made["opentelekomcloud_fgs_trigger_v2.traces"]
    assert (trigger["type"], json.loads(trigger["event_data"])) == (
        "CTS",
        {
            "name": "doorman_sender_traces",
            "operations": [f"IMS:{each}:addMember;deleteMember;deleteMemeber" for each in ("ims", "image")],
        },
    )
    settings = settings_of(made)
    assert (settings.mode, settings.sink, settings.identity.projects) == ("forward", FILLED_IN["sink"], (RECEIVER,))


def test_a_topic_takes_the_right_to_publish_there_alone(workspace: Workspace) -> None:
    """One action, in the one project that the topic lies in; the keys come with each call."""
    made = workspace.apply(sink=f"smn:{TOPIC}", sink_project="eu-de_landing-zone")
    role = made["opentelekomcloud_identity_role_v3.function[0]"]
    assert [(each["effect"], each["action"]) for each in role["statement"]] == [("Allow", ["smn:topic:publish"])]
    grants = made["opentelekomcloud_identity_agency_v3.function[0]"]["project_role"]
    assert [(each["project"], each["roles"]) for each in grants] == [("eu-de_landing-zone", ["doorman-sender"])]
    assert made[FUNCTION]["enable_auth_in_header"] is True
    assert settings_of(made).sink == Target(service="smn", urn=TOPIC, project_id="5a1f0c7e2b944d0f8d3c6b7a8e9f0012")


def test_bad_values_are_refused_each_by_its_own_words(workspace: Workspace) -> None:
    """Every variable has its rule, and says what would be right."""
    code, said = workspace.plan(
        project="image-factory",
        image_url="docker.io/doorman:1",
        sink="http://doorman.example.com/",
        receivers=[],
        name="Doorman",
        log_days=0,
    )
    assert code == 1
    unboxed = said.replace("│ ", "")
    for message in (
        "A project's name begins with its region",
        "Expected swr.<region>.otc.t-systems.com/",
        "Expected https://<broker>/<path> or smn:",
        "1 to 100 project IDs",
        "2 to 40 lower-case letters, digits and hyphens",
        "1 to 365.",
    ):
        assert message in unboxed, message


@pytest.mark.parametrize("values", [{"sink": f"smn:{TOPIC}"}, {"sink_project": "eu-de_landing-zone"}])
def test_a_topic_needs_its_project_and_a_url_has_none(workspace: Workspace, values: dict[str, str]) -> None:
    """The right to publish is given in one project by name."""
    code, said = workspace.plan(**values)
    assert (code, "Name the project of the topic, and only of a topic." in said.replace("│ ", "")) == (1, True), said
