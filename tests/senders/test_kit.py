"""The kit for those who share, end to end on the sandbox: share, notice, accepted, in seconds and without a tick."""

import json
import os
import re
import runpy
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from doorman.sandbox.assembly import Stage, open_stage
from doorman.sandbox.envelope import outcomes
from doorman.sandbox.processes import Function
from doorman.sandbox.serving import await_that
from doorman.sandbox.world import GOLDEN, RECEIVER

ROOT = Path(__file__).parents[2]
RECORDED = Path(__file__).with_name("glance-notifications.jsonl")
SENDER = f"urn:fss:eu-de:{GOLDEN}:function:default:doorman-sender:latest"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The receivers' broker and functions, and nothing that ticks."""
    with open_stage(logs=tmp_path_factory.mktemp("logs"), extra={"DOORMAN_VISIBILITY_WINDOW": "0"}) as stage:
        yield stage


def share(stage: Stage, method: str = "POST", image: str = "") -> str:
    """Share a golden image, or take the share back, as its owner does; gives the image's ID."""
    cloud = stage.cloud
    image = image or cloud.add_image(GOLDEN, name="golden-kit").id
    user = cloud.directory.named("factory", "Default") or cloud.add_user("factory", "secret", [GOLDEN])
    token = cloud.directory.issue(user, GOLDEN, ("password",)).id
    body = {"images": [image], "projects": [RECEIVER]}
    url, headers = f"{stage.cloud_url}/v1/cloudimages/members", {"X-Auth-Token": token}
    httpx.request(method, url, json=body, headers=headers).raise_for_status()
    return image


def told(stage: Stage, image: str) -> list[tuple[str, str]]:
    """Give type and reason of every outcome told of an image."""
    ends = [each for event in stage.broker.events for each in outcomes(event)]
    return [(kind, entry["reason"]) for kind, entry in ends if entry["image_id"] == image]


def is_accepted(stage: Stage, image: str) -> bool:
    """Say whether the share is accepted, and told so; nobody has ticked."""
    assert [event for event in stage.broker.events if event.type == "dev.knative.sources.ping"] == []
    is_told = ("accepted", "allowed_owner") in told(stage, image)
    return is_told and stage.cloud.member_status(image, RECEIVER) == "accepted"


def test_traces_are_passed_on_by_a_function_of_the_sharing_project(stage: Stage, tmp_path: Path) -> None:
    """With no login, no policy and no right; what was taken back is told, too."""
    settings = {"DOORMAN_MODE": "forward", "K_SINK": stage.sink, "OS_PROJECT_ID": RECEIVER}
    with Function("functiongraph", port=0, settings=settings, log=tmp_path / "sender.log") as function:
        stage.cloud.add_function(SENDER, function.url, is_audited=True)
        image = share(stage)
        assert await_that(lambda: is_accepted(stage, image))
        share(stage, "DELETE", image)
        assert await_that(lambda: ("skipped", "not_shared") in told(stage, image))
    del stage.cloud.engine.functions[SENDER]
    assert [call.tries for call in stage.cloud.engine.invocations] == [[200], [200]]


def glance(image: str, place: int) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Read a notification recorded of a real Glance 33, as oslo.messaging hands it over; of an image of ours."""
    event = json.loads(RECORDED.read_text("utf-8").splitlines()[place])
    metadata = {"message_id": event["message_id"], "timestamp": event["timestamp"]}
    return event["publisher_id"], event["payload"] | {"image_id": image, "member_id": RECEIVER}, metadata


def test_glances_notifications_are_passed_on_by_the_sample(stage: Stage) -> None:
    """Both that it listens to; what the receiver itself does is none of them."""
    sample = runpy.run_path(str(ROOT / "examples" / "openstack" / "share_notices.py"))
    kinds = [json.loads(line)["event_type"] for line in RECORDED.read_text("utf-8").splitlines()]
    assert [bool(re.match(sample["EVENTS"], kind)) for kind in kinds] == [True, False, True]
    image = share(stage)
    notice = sample["make_notice"](*glance(image, 0))
    assert notice["time"] == "2026-11-27T21:17:43Z"
    assert "time" not in sample["make_notice"](*glance(image, 2))
    assert sample["post"](stage.sink, notice) is False
    assert await_that(lambda: is_accepted(stage, image))


def test_the_sample_says_what_is_worth_another_try(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """A sink that is away is; an address that is wrong is not."""
    sample = runpy.run_path(str(ROOT / "examples" / "openstack" / "share_notices.py"))
    notice = sample["make_notice"](*glance("i", 0))
    sinks = (f"{stage.broker_url}/nobody/there", "http://127.0.0.1:9/")
    assert [sample["post"](sink, notice) for sink in sinks] == [False, True]
    assert capsys.readouterr().err == (
        "52111417-7922-4d2d-8ac4-086ed3da88a6: the sink answers 404\n"
        "52111417-7922-4d2d-8ac4-086ed3da88a6: the sink cannot be reached (URLError)\n"
    )


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_a_pipeline_needs_one_line(stage: Stage) -> None:
    """The line of the examples' README, as it stands there."""
    readme = (ROOT / "examples" / "README.md").read_text("utf-8")
    (line,) = re.findall(r"(?ms)^```sh\n(curl .*?)^```", readme)
    image = share(stage)
    environ = {"PATH": os.environ["PATH"], "BROKER": stage.sink, "RECEIVER": RECEIVER, "IMAGE": image}
    done = subprocess.run(["sh", "-c", line], env=environ, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert await_that(lambda: is_accepted(stage, image))
