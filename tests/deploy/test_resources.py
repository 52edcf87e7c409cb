"""What an apply of deploy/functiongraph makes, and whether it fits the function that is to run in it."""

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from doorman.entrypoints.functiongraph.payload import read_payload, unwrap
from doorman.events.cloudevents import MAX_BODY
from doorman.events.messages import TICK
from doorman.settings import VARIABLES, Settings
from tests.deploy.workspace import Workspace

pytestmark = pytest.mark.skipif(shutil.which("terraform") is None, reason="terraform is not installed")

FUNCTION = "opentelekomcloud_fgs_function_v2.doorman"
MAX_ENVIRON = 4096


@pytest.fixture(scope="module")
def chained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What a filled-in apply makes."""
    workspace = Workspace(tmp_path_factory.mktemp("chained"))
    notices = ["urn:smn:eu-de:p:image-traces"]
    return workspace.apply(alert_emails=["cloud-team@example.com"], notice_topic_urns=notices)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What an apply without the chain makes."""
    return Workspace(tmp_path_factory.mktemp("alone")).apply(is_chained=False, timeout=300, mode="enforce")


def read_environment(made: Mapping[str, Any]) -> dict[str, str]:
    """Give the environment that the function is started with."""
    environment: dict[str, str] = json.loads(made[FUNCTION]["user_data"])
    return environment


def test_what_is_made_with_the_chain(chained: dict[str, dict[str, Any]]) -> None:
    """One function, a topic that it publishes to and hears, a timer, and somebody to hear of failures."""
    assert sorted(chained) == [
        "opentelekomcloud_fgs_async_invoke_config_v2.doorman",
        FUNCTION,
        "opentelekomcloud_fgs_trigger_v2.events[0]",
        'opentelekomcloud_fgs_trigger_v2.notices["urn:smn:eu-de:p:image-traces"]',
        "opentelekomcloud_fgs_trigger_v2.sweep",
        "opentelekomcloud_identity_agency_v3.engine",
        "opentelekomcloud_identity_agency_v3.function",
        "opentelekomcloud_identity_role_v3.engine",
        "opentelekomcloud_identity_role_v3.function",
        "opentelekomcloud_lts_group_v2.log",
        "opentelekomcloud_lts_stream_v2.log",
        'opentelekomcloud_smn_subscription_v2.failures["cloud-team@example.com"]',
        "opentelekomcloud_smn_topic_v2.events[0]",
        "opentelekomcloud_smn_topic_v2.failures",
    ]
    environment = read_environment(chained)
    topic = chained["opentelekomcloud_smn_topic_v2.events[0]"]["topic_urn"]
    assert environment["K_SINK"] == f"smn:{topic}"
    heard = json.loads(chained["opentelekomcloud_fgs_trigger_v2.events[0]"]["event_data"])
    assert heard == {"topic_urn": topic}


def test_without_the_chain_there_is_no_sink(alone: dict[str, dict[str, Any]]) -> None:
    """The timer is the only trigger, and an invocation follows everything to its end."""
    found = [name for name in alone if "trigger" in name or "topic" in name]
    assert found == ["opentelekomcloud_fgs_trigger_v2.sweep", "opentelekomcloud_smn_topic_v2.failures"]
    assert "K_SINK" not in read_environment(alone)


@pytest.mark.parametrize("variant", ["chained", "alone"])
def test_the_environment_starts_the_function(variant: str, request: pytest.FixtureRequest) -> None:
    """Every variable is one that the code reads, all together are short enough, and none is a secret."""
    environment = read_environment(request.getfixturevalue(variant))
    assert {name for name in environment if name not in VARIABLES and not name.startswith("OS_")} == set()
    assert not [name for name in environment if re.search("PASSWORD|SECRET|KEY|TOKEN", name)]
    assert sum(len(name) + len(value) for name, value in environment.items()) < MAX_ENVIRON
    settings = Settings.from_environ(environment, is_sink_required=False, is_login_required=False)
    assert settings.mode == ("audit" if variant == "chained" else "enforce")
    assert settings.identity.projects == ("7f2a9c4e1b6d4f0e8a3c5d7b9e1f2a4c",)


def test_several_projects(tmp_path: Path) -> None:
    """All are served, and the agency has its rights in each; the function itself needs them in its own alone."""
    names = ("eu-de_landing-zone", "eu-de_team-a", "eu-de_team-b")
    made = Workspace(tmp_path).apply(projects=[{"id": f"p{number}", "name": name} for number, name in enumerate(names)])
    settings = Settings.from_environ(read_environment(made), is_sink_required=False, is_login_required=False)
    assert settings.identity.projects == ("p0", "p1", "p2")
    granted = {
        agency: [grant["project"] for grant in made[f"opentelekomcloud_identity_agency_v3.{agency}"]["project_role"]]
        for agency in ("function", "engine")
    }
    found = {agency: sorted(projects) for agency, projects in granted.items()}
    assert found == {"function": list(names), "engine": [names[0]]}


@pytest.mark.parametrize("variant", ["chained", "alone"])
def test_the_function_is_given_time_and_keys(variant: str, request: pytest.FixtureRequest) -> None:
    """An event function from the image, with its agency's keys and more time than one check may wait."""
    made = request.getfixturevalue(variant)
    function = made[FUNCTION]
    assert (function["runtime"], function["code_type"]) == ("Custom Image", "Custom-Image-Swr")
    assert function["enable_auth_in_header"] is True
    assert function["app_agency"] == made["opentelekomcloud_identity_agency_v3.function"]["name"]
    settings = Settings.from_environ(read_environment(made), is_sink_required=False, is_login_required=False)
    assert function["timeout"] >= settings.check_budget + settings.sink_timeout + settings.request_timeout
    again = made["opentelekomcloud_fgs_async_invoke_config_v2.doorman"]
    assert 1 <= again["max_async_retry_attempts"] <= 3
    assert function["timeout"] < again["max_async_event_age_in_seconds"] <= 86400
    (failure,) = again["on_failure"]
    topic = made["opentelekomcloud_smn_topic_v2.failures"]["topic_urn"]
    assert (failure["destination"], json.loads(failure["param"])) == ("SMN", {"topic_urn": topic})


def test_the_timer_ticks(chained: dict[str, dict[str, Any]]) -> None:
    """What the timer carries is what the function sweeps for."""
    timer = json.loads(chained["opentelekomcloud_fgs_trigger_v2.sweep"]["event_data"])
    assert re.fullmatch(r"\d+[mh]", timer["schedule"])
    assert timer["schedule_type"] == "Rate"
    payload = {
        "trigger_type": "TIMER",
        "trigger_name": timer["name"],
        "time": "2026-01-31T08:30:00Z",
        "user_event": timer["user_event"],
    }
    body = json.dumps(payload).encode()
    assert len(body) < MAX_BODY
    (tick,) = unwrap(read_payload(body), served=()).events
    assert tick.type == TICK


def test_the_rights_are_the_least(chained: dict[str, dict[str, Any]], alone: dict[str, dict[str, Any]]) -> None:
    """Each right is one that a call of the code needs, in one project; only the chain needs to publish."""

    def rights(made: Mapping[str, Any], role: str) -> list[str]:
        statements = made[f"opentelekomcloud_identity_role_v3.{role}"]["statement"]
        assert {statement["effect"] for statement in statements} == {"Allow"}
        return sorted(action for statement in statements for action in statement["action"])

    needed = ["cbr:vaults:list", "ims:images:get", "ims:images:list", "ims:images:share"]
    assert rights(chained, "function") == [*needed, "smn:topic:publish"]
    assert rights(alone, "function") == needed
    assert rights(chained, "engine") == ["smn:topic:publish"]
    for agency in ("function", "engine"):
        lent = chained[f"opentelekomcloud_identity_agency_v3.{agency}"]
        assert lent["delegated_domain_name"] == "op_svc_cff"
        assert [grant["project"] for grant in lent["project_role"]] == ["eu-de_landing-zone"]
    assert chained["opentelekomcloud_identity_agency_v3.function"]["project_role"][0]["roles"] == ["doorman"]
