"""What deciding costs: microseconds a share for a policy of 200 rules and 1,000 owners, and its part of a request.

`python bench/decide.py [--shares N] [--events N]`: the rules of `spread` name five owners each; those of `piled` name
all owners and differ by the image's name, so that every share is asked every rule: the worst there is.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import harness
import load
from upstream import image_id, project_id

sys.path.insert(0, str(harness.ROOT / "function"))

from doorman.models import Share
from doorman.policy import policy as policies
from doorman.policy.decision import decide

RULES, OWNERS = 200, 1000
GOLDEN = "9c61004714024f9586705d090530f9fa"
OWNER_IDS = [f"{number:032x}" for number in range(1, OWNERS)] + [GOLDEN]
ROUNDS = 5


def spread() -> str:
    """Write a policy whose rules name five owners each."""
    part = OWNERS // RULES
    owners = [", ".join(OWNER_IDS[number * part : (number + 1) * part]) for number in range(RULES)]
    rules = [f"{{name: rule-{number}, owners: [{each}], decision: accept}}" for number, each in enumerate(owners)]
    return "version: 1\nrules:\n" + "".join(f"  - {rule}\n" for rule in rules)


def piled() -> str:
    """Write a policy whose rules name all owners, and differ by the image's name."""
    head = f"version: 1\ngroups: {{all: [{', '.join(OWNER_IDS)}]}}\nrules:\n"
    images = [f"{{names: [image-{number}-*], os_type: Linux}}" for number in range(RULES)]
    rules = [
        f"{{name: rule-{number}, owners: [group:all], images: {each}, decision: accept}}"
        for number, each in enumerate(images)
    ]
    return head + "".join(f"  - {rule}\n" for rule in rules)


def decide_microseconds(text: str, shares: int) -> float:
    """Time `decide`: the median of some rounds over shares of all owners, whose names no rule takes."""
    policy, now = policies.load(text), datetime.now(UTC)
    facts = Share(image_id=image_id(0, 0), project_id="p", name="other", os_type="Linux", full_ecs=False)
    made = [replace(facts, owner=OWNER_IDS[number % OWNERS]) for number in range(shares)]
    batcher = [_seconds(lambda: [decide(each, policy, now=now) for each in made]) for _ in range(ROUNDS)]
    return statistics.median(batcher) * 1e6 / shares


def request_microseconds(text: str, events: int) -> float:
    """Time whole requests of one share each, one after the other, to `triage` as it is deployed with this policy."""
    with tempfile.TemporaryDirectory() as folder, harness.running(harness.upstream()) as cloud:
        path = Path(folder) / "policy.yaml"
        path.write_text(text)
        cloud.ask("/bench/seed", {"projects": 1, "shares": events})
        with harness.running(harness.triage(cloud, projects=1, DOORMAN_POLICY=str(path))) as function:
            posts = [
                load.notified(function.url, project=project_id(0), images=[image_id(0, number)], event_id=f"e{number}")
                for number in range(events)
            ]
            result = load.run(function.url, posts, connections=1)
    return statistics.median(result.latencies) * 1e6


def main() -> None:
    """Print one line a policy."""
    parser = argparse.ArgumentParser(description="What deciding costs.")
    parser.add_argument("--shares", type=int, default=5000)
    parser.add_argument("--events", type=int, default=300)
    options = parser.parse_args()
    print(f"{RULES} rules, {OWNERS} owners  load ms  decide us  request us  part of the request")
    for name, write in {"spread": spread, "piled": piled}.items():
        text = write()
        loading = statistics.median(_seconds(lambda text=text: policies.load(text)) for _ in range(ROUNDS)) * 1e3
        deciding, request = decide_microseconds(text, options.shares), request_microseconds(text, options.events)
        print(f"{name:22}  {loading:7.0f}  {deciding:9.1f}  {request:10.0f}  {deciding / request:19.2%}")


def _seconds(work: Callable[[], object]) -> float:
    begun = time.process_time()  # the machine may be busy with others
    work()
    return time.process_time() - begun


if __name__ == "__main__":
    main()
