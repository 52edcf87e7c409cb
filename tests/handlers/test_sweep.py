"""The sweep against the sandbox cloud: it finds what events lost, and tells what waits for a person."""

import pytest

from doorman.events.messages import EventType
from tests.chain import BAD, GOLDEN, POLICY, STRANGER, Chain

pytestmark = pytest.mark.anyio


async def test_one_tick_settles_what_no_event_ever_told() -> None:
    """The pending list alone is enough: what the policy would settle is notified, the rest is listed."""
    chain = Chain()
    golden, banned, stranger = chain.share(), chain.share(BAD), chain.share(STRANGER, name="theirs")
    chain.cloud.add_share("receiver", "elsewhere")
    assert (await chain.tick()).status == 204
    (notified,) = chain.of(EventType.NOTIFIED)
    (digest,) = chain.of(EventType.PENDING)
    assert set(notified.data["images"]) == {golden, banned}
    assert (digest.data["count"], digest.data["error"]) == (3, None)
    assert [(entry["image_id"], entry["name"], entry["reason"]) for entry in digest.data["images"]] == [
        (stranger, "theirs", "owner_not_allowed")
    ]
    await chain.settle()
    assert chain.told() == sorted([(golden, "accepted", "allowed_owner"), (banned, "rejected", "rejected_by_rule")])


async def test_an_empty_digest_is_a_heartbeat() -> None:
    """A project where nothing waits tells that too."""
    chain = Chain()
    await chain.tick()
    (digest,) = chain.of(EventType.PENDING)
    assert digest.data == {"project_id": "receiver", "count": 0, "oldest_created_at": None, "images": [], "error": None}
    assert digest.extensions["severity"] == "info"


async def test_one_project_that_fails_stops_no_other_and_says_so() -> None:
    """A project without our role is told in its own digest, and the others are swept."""
    chain = Chain(OS_PROJECT_ID="receiver,second", roles="second")
    chain.cloud.add_share(GOLDEN, "second")
    assert (await chain.tick()).status == 204
    digests = {event.data["project_id"]: event for event in chain.of(EventType.PENDING)}
    assert digests["second"].data["error"] is None
    assert "login refused" in digests["receiver"].data["error"]
    assert digests["receiver"].extensions["severity"] == "error"
    assert [event.data["project_id"] for event in chain.of(EventType.NOTIFIED)] == ["second"]


async def test_the_report_lists_all_that_waits() -> None:
    """However much that is, the oldest first: old shares hide no new one."""
    chain = Chain()
    chain.cloud.settings.visibility_delay = 0
    images = [chain.share(STRANGER, created_at=chain.clock.now().timestamp() - age) for age in range(510)]
    await chain.tick()
    reports = chain.of(EventType.PENDING)
    listed = [entry["image_id"] for event in reports for entry in event.data["images"]]
    assert {event.data["count"] for event in reports} == {510}
    assert listed == images[::-1]


async def test_a_sink_that_is_down_fails_the_tick() -> None:
    """A tick whose events were not taken is worth a retry."""
    chain = Chain()
    chain.share()
    chain.refuse(1)
    assert (await chain.tick()).status == 503


async def test_expired_exceptions_stand_in_the_digest() -> None:
    """An exception that counts no more is named on every tick until somebody takes it out of the policy."""
    lapsed = "exceptions:\n  - {name: once, owners: [x], decision: accept, reason: r, by: b, expires: 2001-01-01}\n"
    chain = Chain(policy=POLICY + lapsed)
    await chain.tick()
    (digest,) = chain.of(EventType.PENDING)
    assert digest.data["expired_exceptions"] == ["once"]


async def test_an_accept_that_finds_no_vault_waits_for_a_person() -> None:
    """It is listed with the command that names a vault, and nobody is notified of what cannot be settled."""
    chain = Chain(policy=POLICY[: POLICY.index("vaults:")] + "vaults: [{tags: {purpose: images}}]\n")
    whole = chain.share(full_ecs=True)
    await chain.tick()
    (digest,) = chain.of(EventType.PENDING)
    (entry,) = digest.data["images"]
    found = (entry["reason"], entry["approve"])
    assert found == ("vault_missing", f"doorman approve {whole} --project receiver --vault VAULT --reason TEXT")
    assert chain.of(EventType.NOTIFIED) == []


async def test_vaults_that_cannot_be_read_keep_no_share_from_being_settled() -> None:
    """Who needs no vault goes on; the others are notified, and wait there."""
    chain = Chain(policy=POLICY[: POLICY.index("vaults:")] + "vaults: [{tags: {purpose: images}}]\n")
    images = {chain.share(full_ecs=True), chain.share()}
    chain.cloud.faults.add("status", status=503, path="vaults")
    await chain.tick()
    (notified,) = chain.of(EventType.NOTIFIED)
    assert set(notified.data["images"]) == images


async def test_a_thousand_shares_in_twenty_projects_take_the_fewest_calls() -> None:
    """One tick settles all with one members call a project; a second one only lists, and tells the same as a third."""
    projects = [f"project-{number}" for number in range(20)]
    chain = Chain(OS_PROJECT_ID=",".join(projects))
    for project in projects:
        for _ in range(50):
            chain.cloud.add_share(GOLDEN, project)
    await chain.tick("tick-1")
    await chain.settle()
    assert chain.members_calls() == [200] * 20
    assert len(chain.told()) == 1000
    assert {(outcome, reason) for _, outcome, reason in chain.told()} == {("accepted", "allowed_owner")}
    calls, events = len(chain.cloud.calls), len(chain.tray.events)
    for tick in ("tick-2", "tick-3"):
        await chain.tick(tick)
    assert {(call.method, call.path) for call in list(chain.cloud.calls)[calls:]} == {("GET", "/v2/cloudimages")}
    told = chain.tray.events[events:]
    assert [event.type for event in told] == [EventType.PENDING] * 40
    assert len({event.extensions["dedupekey"] for event in told}) == 20
