"""What the page shows, kept by correlation: events, their deliveries, the API calls that they caused, jobs and shares.

Reads what broker and cloud keep. Runs on the cloud's own thread, so that no call comes in while it looks.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator, Reversible
from dataclasses import asdict, dataclass, field
from itertools import takewhile
from typing import Any, TypeVar

from doorman.events.dead_letters import Letter
from doorman.sandbox.broker import Broker
from doorman.sandbox.delivery import Arrival, DeadLetter, Delivery
from doorman.sandbox.records import Call
from doorman.sandbox.state import Cloud

OURS = "dev.doorman."
MOST_LANES, MOST_STEPS, MOST_LETTERS = 20_000, 40, 200
PART, BREATH = 60, 500
"""Lanes of one message, which a browser takes in without a pause; things read before other requests have their turn."""
STAYS = {"held", "failed", "audited"}
OUTCOMES = {"accepted", "rejected", "held", "failed", "skipped", "audited", "drifted"}

Thing = Arrival | Delivery | Call
Step = tuple[float, str, str, str]
"""When, its kind, what happened, and more about it."""
T = TypeVar("T", Arrival, Delivery, Call)


@dataclass(slots=True)
class Lane:
    """Everything with one correlation ID; `outcomes` counts its images by outcome."""

    id: str
    revision: int = 0
    told: list[Step] = field(default_factory=list)
    arrivals: list[Arrival] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)
    images: dict[str, None] = field(default_factory=dict)
    jobs: set[str] = field(default_factory=set)
    outcomes: Counter[str] = field(default_factory=Counter)
    ended: int = -1


class Feed:
    """Follows a cloud and a broker. Whatever changes gets a new revision and the last place, so that it is found."""

    def __init__(self, cloud: Cloud, broker: Broker) -> None:
        self.cloud, self.broker = cloud, broker
        self.lanes: dict[str, Lane] = {}
        self.shares: dict[str, tuple[int, dict[str, Any] | None]] = {}
        self.told: dict[str, tuple[str, str]] = {}
        self._revision = self._letters = 0
        self._lock = asyncio.Lock()
        self._last: dict[str, Any] = {}
        self._open: list[Delivery] = []
        self._under_way: dict[str, Lane] = {}

    async def catch_up(self) -> None:
        """Take in whatever happened since the last time, in its order."""
        async with self._lock:
            self.cloud.queue.settle_due()
            arrivals = self._fresh("arrivals", list(self.broker.arrivals))
            deliveries = self._fresh("deliveries", list(self.broker.deliveries))
            fresh: list[Thing] = [*arrivals, *deliveries, *self._fresh("calls", self.cloud.calls)]
            fresh.sort(key=lambda each: each.at)
            for number, each in enumerate(fresh, start=1):
                self._take(each)
                if number % BREATH == 0:
                    await asyncio.sleep(0)
            self._take_ends()
            self._take_shares()

    def since(self, revision: int) -> tuple[int, dict[str, Any]]:
        """Tell the oldest changes after a revision, and up to which one they reach."""
        lanes = list(takewhile(lambda lane: lane.revision > revision, reversed(self.lanes.values())))[-PART:]
        shares = list(takewhile(lambda item: item[1][0] > revision, reversed(self.shares.items())))[-PART * 3 :]
        ends = [lanes[0].revision] if len(lanes) == PART else []
        ends += [shares[0][1][0]] if len(shares) == PART * 3 else []
        end = min(ends, default=self._revision)
        told: dict[str, Any] = {
            "lanes": [self._write(lane) for lane in reversed(lanes) if lane.revision <= end],
            "shares": [[key, row] for key, (number, row) in reversed(shares) if number <= end], "more": bool(ends),
        }  # fmt: skip
        return end, told if lanes or shares else {}

    def letters(self) -> list[dict[str, Any]]:
        """Tell the latest dead letters."""
        found = []
        for number, each in list(enumerate(self.broker.dead_letters))[-MOST_LETTERS:]:
            letter, told = as_letter(each), {"number": number, "id": each.event.id, "type": each.event.type}
            told |= {"trigger": each.trigger, "reason": each.reason, "said": letter.said[:500], "why": letter.why}
            found.append(told)
        return found

    def open_lane(self, lane_id: str) -> dict[str, Any]:
        """Tell the latest of a lane: its events with their deliveries, and the calls that they caused."""
        lane = self.lanes.get(lane_id) or Lane(lane_id)
        return {
            "events": [
                {"at": each.at, "tries": each.tries, "event": {**each.event.attributes, "data": each.event.value()}}
                for each in lane.arrivals[-MOST_STEPS:]
            ],
            "calls": [
                {**asdict(call), "body": call.body if call.is_write else None} for call in lane.calls[-MOST_STEPS * 5 :]
            ],
        }

    def _fresh(self, kind: str, kept: Reversible[T]) -> list[T]:
        last = self._last.get(kind)
        fresh = list(takewhile(lambda each: each is not last, reversed(kept)))[::-1]
        self._last[kind] = fresh[-1] if fresh else last
        return fresh

    def _take(self, each: Thing) -> None:
        if isinstance(each, Arrival):
            self._take_event(each)
        elif isinstance(each, Delivery):
            self._lane(each.arrival).deliveries.append(each)
            self._open.append(each)
        else:
            for lane in self._causes(each):
                lane.calls.append(each)
                self._touch(lane)

    def _take_event(self, arrival: Arrival) -> None:
        event, data, lane = arrival.event, arrival.event.value(), self._lane(arrival)
        data = data if isinstance(data, dict) else {}
        images = data["images"] if isinstance(data.get("images"), list) else []
        is_ours = event.type.startswith(OURS)
        kind = event.type.split(".")[-2] if is_ours else "tick"
        lane.arrivals.append(arrival)
        lane.images |= {str(each.get("image_id") if isinstance(each, dict) else each): None for each in images}
        lane.told.append((arrival.at, kind if kind in OUTCOMES else "event", kind, str(data.get("status") or "")))
        if kind in OUTCOMES and "policy_digest" in data:
            lane.outcomes[kind] += len(images)
            self._tell(data, images, kind)
        elif kind == "pending":
            self._tell(data, images, "held")
        if isinstance(data.get("job_id"), str):
            lane.jobs.add(data["job_id"])

    def _tell(self, data: dict[str, Any], images: list[Any], outcome: str) -> None:
        """Remember what was told of each image last."""
        for entry in images:
            if isinstance(entry, dict):
                self.told[f"{data.get('project_id')}/{entry.get('image_id')}"] = (outcome, str(entry.get("reason")))

    def _causes(self, call: Call) -> Iterator[Lane]:
        """Find whose events a call was made for: of those being delivered then, the ones whose image or job it names.

        Functions ask once for several events that they handle together, so there may be several.
        """
        self._open = [each for each in self._open if each.until is None or each.until >= call.at]
        lanes = {lane.id: lane for each in self._open if (lane := self.lanes.get(_lane_id(each.arrival)))}
        text = f"{call.path} {call.query} {json.dumps(call.body) if call.is_write else ''}"
        exact = [lane for lane in lanes.values() if any(each in text for each in (*lane.jobs, *lane.images))]
        yield from exact or lanes.values()

    def _take_ends(self) -> None:
        """Tell anew of the lanes in which a delivery, a call or a job has ended, or an event has died."""
        jobs = self.cloud.queue.jobs
        for lane in list(self._under_way.values()):
            ends = [each.until is not None for each in lane.deliveries] + [bool(call.seconds) for call in lane.calls]
            ends += [job not in jobs or jobs[job].has_ended for job in lane.jobs]
            if sum(ends) != lane.ended:
                lane.ended = sum(ends)
                self._touch(lane)
            if all(ends):
                self._under_way.pop(lane.id)
        for letter in self.broker.dead_letters[self._letters :]:
            self._lane(letter).letters.append(letter)
            self._letters += 1

    def _take_shares(self) -> None:
        rows = dict(self._rows())
        for key, row in (*rows.items(), *((key, None) for key in self.shares if key not in rows)):
            if self.shares.get(key, (0, None))[1] != row:
                self.shares.pop(key, None)
                self.shares[key] = (self._next(), row)

    def _rows(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for image_id, members in self.cloud.image_store.members.items():
            image = self.cloud.image_store.images[image_id]
            for project_id, member in members.items():
                outcome, reason = self.told.get(f"{project_id}/{image_id}", ("", ""))
                is_told = outcome == member.status or (member.status == "pending" and outcome in STAYS)
                yield f"{project_id}/{image_id}", {
                    "image": image_id, "project": project_id, "name": image.name, "owner": image.owner,
                    "full_ecs": image.full_ecs, "os": image.properties.get("__os_type", "Linux"),
                    "size": image.min_disk, "at": member.created_at, "status": member.status,
                    "state": outcome if is_told else "waiting" if member.status == "pending" else member.status,
                    "reason": reason if is_told else "",
                }  # fmt: skip

    def _write(self, lane: Lane) -> dict[str, Any]:
        names = [image.name for each in lane.images if (image := self.cloud.image_store.images.get(each))]
        steps = sorted(self._steps(lane), key=lambda step: step[0])
        starts = [each.at for each in lane.arrivals if "causationid" not in each.event.attributes]
        starts = starts or [at for at, *_ in steps[:1]]
        return {
            "id": lane.id, "name": names[0] if names else None, "images": len(lane.images),
            "type": lane.arrivals[0].event.type if lane.arrivals else "", "at": max(starts, default=0),
            "outcomes": lane.outcomes, "calls": len(lane.calls), "events": len(lane.arrivals),
            "dead": len(lane.letters), "steps": steps[:MOST_STEPS], "hidden": max(0, len(steps) - MOST_STEPS),
        }  # fmt: skip

    def _steps(self, lane: Lane) -> Iterator[Step]:
        yield from lane.told
        for delivery in lane.deliveries:
            if not isinstance(delivery.answer, int) or delivery.answer >= 300:  # noqa: PLR2004 - above all success
                answer = "under way" if delivery.until is None else str(delivery.answer)
                yield delivery.at, "event" if delivery.until is None else "failed", delivery.trigger, answer
        for call in lane.calls:
            if call.fault:
                yield call.at, "failed", f"fault: {call.fault}", f"{call.method} {call.path}"
            elif call.is_write:
                yield call.at, "call", "members call", str(call.status or "under way")
        for job in (found for each in lane.jobs if (found := self.cloud.queue.jobs.get(each)) and found.ended_at):
            yield job.ended_at or 0, "call" if job.state == "SUCCESS" else "failed", "job", job.error_code or job.state
        for letter in lane.letters:
            yield lane.deliveries[-1].at if lane.deliveries else 0, "failed", "dead letter", letter.reason

    def _lane(self, holder: Arrival | DeadLetter) -> Lane:
        lane_id = _lane_id(holder)
        lane = self.lanes.get(lane_id) or Lane(lane_id)
        self._touch(lane)
        if len(self.lanes) > MOST_LANES:
            self.lanes.pop(next(iter(self.lanes)))
        return lane

    def _touch(self, lane: Lane) -> None:
        lane.revision = self._next()
        self.lanes.pop(lane.id, None)
        self.lanes[lane.id] = self._under_way[lane.id] = lane

    def _next(self) -> int:
        self._revision += 1
        return self._revision


def _lane_id(holder: Arrival | DeadLetter) -> str:
    return holder.event.attributes.get("correlationid") or holder.event.id


def as_letter(dead: DeadLetter) -> Letter:
    """Read a dead letter of the broker as `doorman replay` does."""
    return Letter({**dead.event.attributes, "data": dead.event.value()})
