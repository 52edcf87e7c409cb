"""The vendor's SDK doing the same shares one by one, and our function in a storm of as many, in interleaved pairs.

`python bench/sdk.py [--shares N] [--pairs N] [--delay SECONDS]`: the SDK makes one members call and one job query for
each share, as its Terraform provider does; ours come one image an event, and 100. `delay` is how long the cloud takes
for a call. The function that does nothing, one event a share, says what the server alone allows. It needs the vendor's
`huaweicloudsdkims`.
"""

import argparse
import json
import statistics
import time

import harness
import load
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

ENOUGH = 4.0
"""Seconds that the SDK is let run: what it does in a second does not depend on how many shares there are."""


def measure(*, shares: int, pairs: int, delay: float) -> dict[str, float]:
    """Settle so many shares by both, so many times."""
    figures = []
    seed = {"projects": 1, "shares": shares, "delay": delay}
    with harness.running(harness.upstream()) as cloud, harness.running(harness.noop()) as noop:
        for _ in range(pairs):
            cloud.ask("/bench/seed", seed)
            theirs = _one_by_one(cloud.url, shares)
            nothing, _ = storm.blow(noop, 1, shares, 256)
            cloud.ask("/bench/seed", seed)
            with harness.running(harness.triage(cloud, projects=1)) as function:
                storm.warm_up(function)
                busy, _ = storm.blow(function, 1, shares, 256)
            cloud.ask("/bench/seed", seed)
            with harness.running(harness.triage(cloud, projects=1)) as function:
                storm.warm_up(function)
                events = [
                    _notice(function.url, first, min(first + TOGETHER, shares)) for first in range(0, shares, TOGETHER)
                ]
                together = load.run(function.url, events, connections=256)
            figures.append((theirs, nothing.rate, busy.rate, shares / together.seconds))
    names = ("nothing", "alone", "together")
    return {
        "sdk_per_second": round(statistics.median(each[0] for each in figures), 1),
        **{
            f"{name}_per_second": round(statistics.median(each[place] for each in figures), 1)
            for place, name in enumerate(names, 1)
        },
        **{
            f"ratio_{name}": round(statistics.median(each[place] / each[0] for each in figures), 2)
            for place, name in enumerate(names, 1)
        },
    }


def _notice(url: str, first: int, end: int) -> bytes:
    images = [image_id(0, number) for number in range(first, end)]
    return load.notified(url, project=project_id(0), images=images, event_id=f"together-{first}")


def _one_by_one(url: str, shares: int) -> float:
    """Settle shares until there are no more of them or it is enough; gives shares a second."""
    credentials = BasicCredentials("access", "secret", project_id(0))
    client = ImsClient.new_builder().with_credentials(credentials).with_endpoints([url]).build()
    start = time.perf_counter()
    done = 0
    while done < shares and time.perf_counter() - start < ENOUGH:
        body = BatchUpdateMembersRequestBody(images=[image_id(0, done)], project_id=project_id(0), status="accepted")
        answer = client.batch_update_members(BatchUpdateMembersRequest(body=body))
        client.show_job(ShowJobRequest(job_id=answer.job_id))
        done += 1
    return done / (time.perf_counter() - start)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shares", type=int, default=2000)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--delay", type=float, default=0.0)
    print(json.dumps(measure(**vars(parser.parse_args())), indent=2))
