"""The vendor's SDK doing the same shares one by one, and our function in a storm of as many, in interleaved pairs.

`python bench/sdk.py [--shares N] [--pairs N]`: the SDK makes one members call and one job query for each share, as its
Terraform provider does; ours come one image an event, and 100. It needs the `dev` extra.
"""

import argparse
import json
import statistics
import time

import load
import stage
import storm
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkims.v2 import (
    BatchUpdateMembersRequest,
    BatchUpdateMembersRequestBody,
    ImsClient,
    ShowJobRequest,
)
from upstream import image_id, project_id

TOGETHER = 100
"""Images in one event, where they come together as a sweep sends them."""


def measure(*, shares: int, pairs: int) -> dict[str, float]:
    """Settle so many shares by both, so many times."""
    figures = []
    with stage.running(stage.upstream()) as cloud:
        for _ in range(pairs):
            cloud.ask("/bench/seed", {"projects": 1, "shares": shares})
            theirs = shares / _one_by_one(cloud.url, shares)
            cloud.ask("/bench/seed", {"projects": 1, "shares": shares})
            with stage.running(stage.triage(cloud, projects=1)) as function:
                storm.warm_up(function)
                busy, _ = storm.blow(function, 1, shares, 256)
            cloud.ask("/bench/seed", {"projects": 1, "shares": shares})
            with stage.running(stage.triage(cloud, projects=1)) as function:
                storm.warm_up(function)
                events = [
                    _notice(function.url, first, min(first + TOGETHER, shares)) for first in range(0, shares, TOGETHER)
                ]
                together = load.run(function.url, events, connections=256)
            figures.append((theirs, busy.rate, shares / together.seconds))
    return {
        "sdk_per_second": round(statistics.median(each[0] for each in figures), 1),
        "alone_per_second": round(statistics.median(each[1] for each in figures), 1),
        "together_per_second": round(statistics.median(each[2] for each in figures), 1),
        "ratio_alone": round(statistics.median(each[1] / each[0] for each in figures), 2),
        "ratio_together": round(statistics.median(each[2] / each[0] for each in figures), 2),
    }


def _notice(url: str, first: int, end: int) -> bytes:
    images = [image_id(0, number) for number in range(first, end)]
    return load.notified(url, project=project_id(0), images=images, event_id=f"together-{first}")


def _one_by_one(url: str, shares: int) -> float:
    credentials = BasicCredentials("access", "secret", project_id(0))
    client = ImsClient.new_builder().with_credentials(credentials).with_endpoints([url]).build()
    start = time.perf_counter()
    for number in range(shares):
        body = BatchUpdateMembersRequestBody(images=[image_id(0, number)], project_id=project_id(0), status="accepted")
        answer = client.batch_update_members(BatchUpdateMembersRequest(body=body))
        client.show_job(ShowJobRequest(job_id=answer.job_id))
    return time.perf_counter() - start


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shares", type=int, default=2000)
    parser.add_argument("--pairs", type=int, default=3)
    print(json.dumps(measure(**vars(parser.parse_args())), indent=2))
