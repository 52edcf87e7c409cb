"""The whole product on a real Keystone and Glance: every outcome, and everything that happens while we work."""

import threading
import time
from collections import Counter
from datetime import UTC, datetime

import httpx

from tests.openstack.chain import Chain, run_function
from tests.openstack.keystone_glance import TOKEN_CACHE
from tests.openstack.worlds import OWNERS, RECEIVER, SECRET

GOLDEN, BANNED = OWNERS
MANY = 20

ACCEPTED, REJECTED, HELD = (
    ("accepted", "allowed_owner"),
    ("rejected", "rejected_by_rule"),
    ("held", "image_not_allowed"),
)
"""How an image ends, as its one outcome event says."""


def statuses(chain: Chain, images: list[str]) -> list[str]:
    """Read from Glance how the shares stand."""
    return [chain.world.status(image_id) for image_id in images]


def make_all(chain: Chain, count: int = MANY) -> dict[str, list[str]]:
    """Make that many shares of each outcome."""
    return {
        "accepted": chain.make_shares(GOLDEN, "golden", count),
        "rejected": chain.make_shares(BANNED, "banned", count),
        "pending": chain.make_shares(GOLDEN, "other", count),
    }


def see_all(chain: Chain, made: dict[str, list[str]]) -> None:
    """Each share stands as it should, and those that are settled are told so."""
    assert {status: Counter(statuses(chain, group)) for status, group in made.items()} == {
        status: Counter({status: MANY}) for status in made
    }
    assert chain.outcomes(made["accepted"]) == [[ACCEPTED]] * MANY
    assert chain.outcomes(made["rejected"]) == [[REJECTED]] * MANY


def test_notified_shares_of_every_fate(chain: Chain) -> None:
    """20 images each are accepted, rejected and held: one outcome each, and Glance says the same."""
    made = make_all(chain)
    images = [image_id for group in zip(*made.values(), strict=True) for image_id in group]
    for start in range(0, len(images), 7):
        chain.notify(images[start : start + 7])
    chain.wait()
    see_all(chain, made)
    assert chain.outcomes(made["pending"]) == [[HELD]] * MANY


def test_sweep_finds_what_nobody_told(chain: Chain) -> None:
    """Without any event, a tick settles 20 of each, and its digest lists those that wait for a person."""
    made = make_all(chain)
    chain.tick()
    chain.wait()
    see_all(chain, made)
    assert chain.outcomes(made["pending"]) == [[]] * MANY
    digest = chain.digest()
    assert set(made["pending"]) <= {entry["image_id"] for entry in digest["images"]}
    assert digest["error"] is None


def test_unshared_before_we_looked(chain: Chain) -> None:
    """A share that its owner took back, or whose image was deleted, is skipped; the others are not touched by it."""
    kept, unshared, deleted = chain.make_shares(GOLDEN, "golden", 3)
    chain.world.unshare(unshared, GOLDEN)
    chain.world.delete(deleted, GOLDEN)
    chain.notify([kept, unshared, deleted])
    chain.wait()
    gone = ("skipped", "not_shared")
    assert chain.outcomes([kept, unshared, deleted]) == [[ACCEPTED], [gone], [gone]]


def test_unshared_while_we_work(chain: Chain) -> None:
    """While 20 shares are accepted one by one, every second one is taken back: every outcome is true."""
    images = chain.make_shares(GOLDEN, "golden", MANY)
    kept, taken = images[::2], images[1::2]

    def take_back() -> None:
        for image_id in reversed(taken):
            chain.world.unshare(image_id, GOLDEN)

    owner = threading.Thread(target=take_back)
    owner.start()
    chain.notify(images)
    owner.join()
    chain.wait()
    assert chain.outcomes(kept) == [[ACCEPTED]] * len(kept)
    assert statuses(chain, kept) == ["accepted"] * len(kept)
    assert {outcome for told in chain.outcomes(taken) for outcome in told} <= {ACCEPTED, ("skipped", "not_shared")}
    assert [len(told) for told in chain.outcomes(taken)] == [1] * len(taken)


def test_unshared_and_shared_again(chain: Chain) -> None:
    """A share that is made anew is pending again, and accepted again."""
    (image_id,) = chain.make_shares(GOLDEN, "golden", 1)
    chain.notify([image_id])
    chain.wait()
    chain.world.unshare(image_id, GOLDEN)
    chain.world.share(image_id, GOLDEN)
    assert chain.world.status(image_id) == "pending"
    chain.notify([image_id])
    chain.wait()
    assert (chain.outcomes([image_id]), chain.world.status(image_id)) == ([[ACCEPTED, ACCEPTED]], "accepted")


def test_settled_by_a_person_before(chain: Chain) -> None:
    """What a person settled is not touched, whichever way; settled after the event, it may have been for it."""
    same, other, held = [*chain.make_shares(GOLDEN, "golden", 2), *chain.make_shares(GOLDEN, "other", 1)]
    for image_id in (same, held):
        chain.world.settle(image_id, "accepted")
    chain.world.settle(other, "rejected")
    time.sleep(1.1)  # what changed within the event's own second counts for it
    chain.post(chain.sink, chain.notice([same, other, held]) | {"time": datetime.now(UTC).isoformat()})
    chain.wait()
    already, otherwise = ("skipped", "already_settled"), ("skipped", "settled_otherwise")
    assert chain.outcomes([same, other, held]) == [[already], [otherwise], [already]]
    chain.notify([same])
    chain.wait()
    assert chain.outcomes([same]) == [[already, ("accepted", "already_settled")]]
    assert statuses(chain, [same, other, held]) == ["accepted", "rejected", "accepted"]


def test_our_own_image(chain: Chain) -> None:
    """An image of the receiving project itself is none to decide on."""
    image_id = chain.world.add_image(RECEIVER, "golden-own")
    chain.notify([image_id])
    chain.wait()
    assert chain.outcomes([image_id]) == [[("skipped", "own_image")]]


def test_reader_may_not_settle(chain: Chain) -> None:
    """With reading rights only, the refusal is told as an outcome; nothing is settled and nothing tried again."""
    images = [*chain.make_shares(GOLDEN, "golden", 2), *chain.make_shares(BANNED, "banned", 1)]
    environ = {
        "OS_CLOUD": "",
        "OS_AUTH_URL": chain.world.auth_url,
        "OS_USERNAME": "reader",
        "OS_PASSWORD": SECRET,
        "OS_USER_DOMAIN_NAME": "Default",
        "OS_PROJECT_ID": chain.world.projects[RECEIVER],
    }
    with run_function(chain, "triage", "reader", environ) as function:
        answer = chain.post(function.url, chain.notice(images))
    assert (answer.status_code, answer.text) == (204, "")
    assert chain.outcomes(images) == [[("failed", "permission_denied")]] * 3
    assert statuses(chain, images) == ["pending"] * 3


def deliveries(chain: Chain, event_id: str) -> list[object]:
    """Give the answers that `triage` gave to one event."""
    (arrival,) = [each for each in chain.broker.arrivals if each.event.id == event_id]
    return [answer for _, answer in arrival.tries]


def test_ended_token_is_renewed_unseen(chain: Chain) -> None:
    """When Keystone ends our token, the next event is still done at its first delivery."""
    chain.world.end_tokens()
    time.sleep(TOKEN_CACHE + 0.2)
    (image_id,) = chain.make_shares(GOLDEN, "golden", 1)
    event_id = chain.notify([image_id])
    chain.wait()
    assert (chain.outcomes([image_id]), deliveries(chain, event_id)) == ([[ACCEPTED]], [204])


def test_rotated_password_needs_no_restart(chain: Chain) -> None:
    """Until the file has the new password, events are put off with one clear line; then the next delivery is done."""
    (image_id,) = chain.make_shares(GOLDEN, "golden", 1)
    try:
        chain.world.change_password("another-secret")
        time.sleep(TOKEN_CACHE + 0.2)
        refused = chain.post(chain.functions["triage"].url, chain.notice([image_id]))
        event_id = chain.notify([image_id])
        chain.set_password("another-secret")
        chain.wait()
    finally:
        chain.set_password(SECRET)
        chain.world.change_password(SECRET)
    assert refused.status_code == httpx.codes.SERVICE_UNAVAILABLE
    assert "/auth/tokens (401): check clouds.receiver.auth.username" in refused.text
    assert chain.outcomes([image_id]) == [[ACCEPTED]]
    assert deliveries(chain, event_id)[-1] == 204


def test_keystone_down(chain: Chain) -> None:
    """While Keystone is down every event is answered 503 with a time to come back; afterwards all of them are done."""
    images = chain.make_shares(GOLDEN, "golden", 3)
    time.sleep(TOKEN_CACHE + 0.2)
    chain.world.cloud.keystone.stop()
    try:
        answers = [chain.post(chain.functions["triage"].url, chain.notice([image_id])) for image_id in images]
        events = [chain.notify([image_id]) for image_id in images]
    finally:
        chain.world.cloud.keystone.start()
    chain.wait()
    assert [(answer.status_code, "Retry-After" in answer.headers) for answer in answers] == [(503, True)] * 3
    assert chain.outcomes(images) == [[ACCEPTED]] * 3
    assert [deliveries(chain, event_id)[-1] for event_id in events] == [204] * 3


def test_no_secret_in_any_log(chain: Chain) -> None:
    """Neither the password nor a token shows in what the functions wrote."""
    written = "".join(path.read_text() for path in chain.folder.glob("*.log"))
    assert "event.handled" in written
    assert [word for word in (SECRET, "another-secret", "gAAAAA") if word in written] == []
