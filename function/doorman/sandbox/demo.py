"""The demo: sends every sample through the whole product, waits for each image's end, and tells what became of it."""

import base64
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx

from doorman.sandbox import world
from doorman.sandbox.assembly import Stage
from doorman.sandbox.envelope import outcomes
from doorman.sandbox.report import Progress, group, indent, table
from doorman.sandbox.samples import EVENTS, is_batch, load

WAIT_SECONDS = 30.0
REPORT = "dev.doorman.shares.pending.v1"
SWEEPS = ("project-sweep.json", "ping-tick.json")
HEAD = ("image", "outcome", "owner", "reason", "rule", "vault", "job", "time")


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What an outcome event says of one image."""

    outcome: str
    job_id: str | None
    at: float
    entry: dict[str, Any]


@dataclass(slots=True)
class Demo:
    """One run of all samples."""

    stage: Stage
    progress: Progress
    sent_at: dict[str, float] = field(default_factory=dict)
    answers: dict[str, tuple[int, str]] = field(default_factory=dict)

    def run(self) -> bool:
        """Send, wait, tell; whether everything ended as it should."""
        others = [name for name in _event_names() if name not in SWEEPS]
        self._send(others)
        self._await(others)
        for name in SWEEPS:  # last, so that they find what no event told of
            self._send([name])
            self._await([name])
        self.progress.end()
        return self._report()

    def _send(self, names: list[str]) -> None:
        with httpx.Client(trust_env=False, timeout=60) as client:
            for name in names:
                message = load(EVENTS / name)
                url = self.stage.functions["triage"].url if is_batch(message) else self.stage.sink
                self.sent_at[name] = time.time()
                answer = client.post(url, headers=message.headers, content=message.body)
                self.answers[name] = (answer.status_code, answer.text)
                self.progress.say(f"  sent {name:32} {answer.status_code}")

    def _await(self, names: list[str]) -> None:
        """Wait until every image of these samples has an outcome and every refusal is told."""
        deadline = time.monotonic() + WAIT_SECONDS
        wanted = [sample for sample in world.SAMPLES if sample.event in names and sample.reason]
        while time.monotonic() < deadline:
            told = self._told()
            done = sum(sample.image_id in told for sample in wanted)
            self.progress.show(f"  {done} of {len(wanted)} images have ended")
            if done == len(wanted) and self.stage.broker.is_idle:
                return
            time.sleep(0.05)

    def _told(self) -> dict[str, Told]:
        """Collect the first outcome of each image."""
        found: dict[str, Told] = {}
        for arrival in list(self.stage.broker.arrivals):
            for outcome, entry in outcomes(arrival.event):
                told = Told(outcome=outcome, job_id=arrival.event.value().get("job_id"), at=arrival.at, entry=entry)
                found.setdefault(entry["image_id"], told)
        return found

    def _report(self) -> bool:
        told = self._told()
        refused = [self._refusal(refusal) for refusal in world.REFUSALS]
        rows = [self._row(sample, told.get(sample.image_id)) for sample in world.SAMPLES]
        self._show(rows, [row for row, _ in refused])
        print(self._summary())
        wrong = [*self._wrong_fates(told), *self._strange_letters()]
        wrong += [f"{event}: not refused as it should" for (event, *_), is_right in refused if not is_right]
        for line in wrong:
            print(f"NOT AS EXPECTED: {line}")
        return not wrong

    def _show(self, rows: list[list[str]], refused: list[list[str]]) -> None:
        """Group what became of the samples for a person's screen; elsewhere a row each."""
        if not self.progress.is_terminal:
            print(table(HEAD, rows, narrow=(HEAD.index("vault"), HEAD.index("job"))))
            print()
            print(table(("refused event", "by", "status", "because"), refused))
            return
        words = ("", "", "of ", "", "rule ")
        print(group([[f"{word}{cell}" for word, cell in zip(words, row, strict=False) if cell != "-"] for row in rows]))
        print()
        for event, by, status, why in refused:
            print(f"refused by {by} with {status}: {event}\n{indent(why)}")

    def _row(self, sample: world.Sample, told: Told | None) -> list[str]:
        if told is None:
            return [sample.name, "nothing told", world.PROJECTS[sample.owner], *["-"] * 5]
        entry = told.entry
        owner = world.PROJECTS.get(entry["owner"], entry["owner"]) or "-"
        sent_by = SWEEPS[0] if sample.event in SWEEPS else sample.event  # the first sweep settles what it finds
        seconds = told.at - self.sent_at[sent_by]
        shown = [entry["reason"], entry["rule"], entry["vault_id"], told.job_id]
        return [sample.name, told.outcome, owner, *(text or "-" for text in shown), f"{seconds:.2f} s"]

    def _wrong_fates(self, told: dict[str, Told]) -> Iterator[str]:
        for sample in world.SAMPLES:
            end = told.get(sample.image_id)
            found = (end.outcome, end.entry["reason"]) if end else ("nothing told", "")
            if found != (sample.outcome, sample.reason):
                yield f"{sample.name}: {' '.join(found)}, not {sample.outcome} {sample.reason}"
            status = self.stage.cloud.member_status(sample.image_id, world.RECEIVER)
            if status != sample.ends:
                yield f"{sample.name}: the cloud says {status}, not {sample.ends}"

    def _strange_letters(self) -> Iterator[str]:
        """Name the dead letters of events that should have been taken."""
        expected = {refusal.event for refusal in world.REFUSALS}
        for letter in list(self.stage.broker.dead_letters):
            if _file_of(letter.event.id) not in expected:
                yield f"{letter.event.type} {letter.event.id}: {letter.trigger} answered {letter.reason}"

    def _refusal(self, refusal: world.Refusal) -> tuple[list[str], bool]:
        """Find how a malformed event was refused: at the broker's door, or in a dead letter."""
        by, status, text = "broker", *self.answers[refusal.event]
        for letter in list(self.stage.broker.dead_letters):
            if refusal.event == _file_of(letter.event.id):
                told = letter.event.attributes
                by, status = letter.trigger, int(told.get("knativeerrorcode", 0))
                text = base64.b64decode(told.get("knativeerrordata", "")).decode(errors="replace")
        is_right = (by, status) == (refusal.by, refusal.status) and refusal.word in text
        return [refusal.event, by, str(status), text], is_right

    def _summary(self) -> str:
        reports = [a.event.value() for a in list(self.stage.broker.arrivals) if a.event.type == REPORT]
        held = f"{reports[-1]['count']} shares are pending" if reports else "there was no pending report"
        writes = len(self.stage.cloud.writes)
        return f"\n{len(world.SAMPLES)} images, {writes} writing calls to the cloud. The sweep: {held}.\n"


def _file_of(event_id: str) -> str:
    """Name the file that a sample came from."""
    return f"{event_id.removeprefix('sample-')}.json"


def _event_names() -> list[str]:
    """Name the samples that are sent, in the order of the world."""
    return list(dict.fromkeys([*(s.event for s in world.SAMPLES), *(r.event for r in world.REFUSALS)]))
