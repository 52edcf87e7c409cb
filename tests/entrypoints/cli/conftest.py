"""What the tests of commands share: a served cloud with an environment that leads to it, and a sink over HTTP."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from doorman.sandbox.cloud import create_app
from doorman.sandbox.serving import serve
from doorman.sandbox.state import Cloud
from tests.chain import POLICY
from tests.entrypoints.cli.command import Command


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """The command, and what it writes."""
    return Command(capsys)


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """A served sandbox whose jobs end at once, and an environment that leads to it."""
    cloud = Cloud()
    cloud.settings.job_seconds = 0
    cloud.add_user("doorman", "secret", ["receiver", "second"])
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY)
    with serve(create_app(cloud)) as url:
        for name, value in {
            "OS_AUTH_URL": f"{url}/v3",
            "OS_USERNAME": "doorman",
            "OS_PASSWORD": "secret",
            "OS_USER_DOMAIN_NAME": "Default",
            "OS_PROJECT_ID": "receiver",
            "DOORMAN_POLICY": str(policy),
        }.items():
            monkeypatch.setenv(name, value)
        yield cloud


@pytest.fixture
def taken() -> list[dict[str, Any]]:
    """What the sink took."""
    return []


@pytest.fixture
def sink(taken: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A sink over HTTP, named in the environment."""

    async def take(request: Request) -> Response:
        told = {
            name: request.headers[f"ce-{name}"] for name in ("type", "traceparent") if f"ce-{name}" in request.headers
        }
        taken.append({**told, "data": json.loads(await request.body())})
        return Response(status_code=202)

    with serve(Starlette(routes=[Route("/", take, methods=["POST"])])) as url:
        monkeypatch.setenv("K_SINK", url)
        yield url
