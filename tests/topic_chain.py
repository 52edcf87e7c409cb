"""The chain over an SMN topic: a cloud in which one container function hears what it publishes."""

import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import httpx

from doorman.sandbox.cloud import create_app
from doorman.sandbox.processes import Function
from doorman.sandbox.serving import serve
from doorman.sandbox.state import Cloud
from tests.builders import BAD, GOLDEN, POLICY, STRANGER, trace

PROJECT = "receiver"
FUNCTION = f"urn:fss:eu-de:{PROJECT}:function:default:doorman:latest"
TOPIC = f"urn:smn:eu-de:{PROJECT}:doorman-events"
OUTCOMES = {GOLDEN: "accepted", BAD: "rejected", STRANGER: "held"}


def write_trace(images: Sequence[str], trace_id: str) -> dict[str, Any]:
    """Write the trace of a share that was made just now."""
    return {"cts": trace(*images, trace_id=trace_id, time=int(time.time() * 1000), user={"name": "jane.roe"})}


@contextmanager
def deployed(
    cloud: Cloud, folder: Path, *, loan: Literal["token", "keys"], sink: str, **environ: str
) -> Iterator["Chain"]:
    """Deploy the function, lent a token or temporary keys of an agency; `URL` in the settings is the cloud's."""
    (folder / "policy.yaml").write_text(POLICY)
    agency = cloud.add_user("agency", "secret", [PROJECT])
    with serve(create_app(cloud)) as url:
        environ = {"OS_IMAGE_ENDPOINT_OVERRIDE": "URL", "OS_PROJECT_ID": PROJECT, **environ}
        settings = {name: value.replace("URL", url) for name, value in environ.items()}
        settings |= {"K_SINK": sink, "OS_REGION_NAME": "eu-de", "DOORMAN_POLICY": str(folder / "policy.yaml")}
        function = Function("functiongraph", port=0, settings=settings, log=folder / "function.log")
        try:
            function.await_start()
            cloud.add_function(FUNCTION, function.url, agency=agency, loan=loan, retries=3)
            cloud.add_topic(TOPIC, [FUNCTION])
            chain = Chain(cloud, url, function)
            with chain.client:
                yield chain
        finally:
            function.stop()
            assert function.await_end() == 0


class Chain:
    """A cloud with a topic, and the function that is subscribed to it."""

    def __init__(self, cloud: Cloud, url: str, function: Function) -> None:
        self.cloud = cloud
        self.url = url
        self.function = function
        token = cloud.directory.issue(cloud.engine.functions[FUNCTION].agency, PROJECT, ("password",))  # type: ignore[arg-type]
        self.client = httpx.Client(base_url=url, headers={"X-Auth-Token": token.id})

    def share(self, count: int) -> dict[str, str]:
        """Share so many images of each owner, one of them a whole server; gives who shared which."""
        shared = {self.cloud.add_share(owner, PROJECT): owner for owner in OUTCOMES for _ in range(count)}
        return shared | {self.cloud.add_share(GOLDEN, PROJECT, full_ecs=True): GOLDEN}

    def notice(self, images: Sequence[str], trace_id: str) -> None:
        """Publish the trace of a share, as the sharer's audit service would."""
        body = {"subject": "addMember", "message": json.dumps(write_trace(images, trace_id))}
        path = f"/v2/{PROJECT}/notifications/topics/{TOPIC}/publish"
        assert self.client.post(path, json=body).status_code == 200

    def invoke(self, payload: dict[str, Any]) -> None:
        """Call the function, past the topic."""
        path = f"/v2/{PROJECT}/fgs/functions/{FUNCTION}/invocations-async"
        assert self.client.post(path, json=payload).status_code == 202

    def tick(self) -> None:
        """Let the timer call the function."""
        body = {"urn": FUNCTION, "name": "doorman-sweep", "user_event": '{"action":"sweep"}'}
        assert self.client.post("/sandbox/ticks", json=body).is_success

    def settle(self) -> None:
        """Wait until nothing is on its way any more."""
        deadline = time.monotonic() + 30
        quiet = 0
        while quiet < 3:
            assert time.monotonic() < deadline, "the chain goes on and on"
            quiet = quiet + 1 if self.cloud.engine.tasks.is_idle and self._has_no_job_ahead() else 0
            time.sleep(0.005)

    def _has_no_job_ahead(self) -> bool:
        """Say whether the time of every job has come: one whose follow-up was lost goes on without us."""
        queue = self.cloud.queue
        return all(job.has_ended or (job.due_at or 0) <= queue.clock() for job in list(queue.jobs.values()))

    def events(self) -> list[dict[str, Any]]:
        """Give our own events on the topic, each once: a consumer dedupes on id."""
        messages = [json.loads(each.message) for each in self.cloud.topics.published]
        return list({each["id"]: each for each in messages if "specversion" in each}.values())

    def outcomes(self) -> dict[str, list[tuple[str, str]]]:
        """Give (outcome, reason) of every outcome told, by image."""
        told: dict[str, list[tuple[str, str]]] = {}
        for event in self.events():
            outcome = event["type"].split(".")[-2]
            for entry in (
                event["data"].get("images", []) if outcome in {*OUTCOMES.values(), "failed", "skipped"} else []
            ):
                told.setdefault(entry["image_id"], []).append((outcome, entry["reason"]))
        return told

    def tries(self) -> Counter[str]:
        """Count how the calls of the function ended."""
        return Counter(" ".join(map(str, each.tries)) for each in self.cloud.engine.invocations)
