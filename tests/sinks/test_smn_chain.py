"""The whole chain without a broker: share -> SMN -> triage -> SMN -> check_job -> outcome to SMN, as deployed.

The engine lends the function its agency's credentials with each call.
"""

from collections import Counter
from collections.abc import Iterator

import pytest

from doorman.sandbox.state import Cloud
from tests.builders import GOLDEN, VAULT
from tests.topic_chain import OUTCOMES, PROJECT, TOPIC, Chain, deployed, write_trace


@pytest.fixture(scope="module", params=["token", "keys"])
def chain(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """The function as a process of its own, lent a token or temporary keys."""
    folder = tmp_path_factory.mktemp("chain")
    cloud = Cloud()
    cloud.add_vault(PROJECT, VAULT)
    with deployed(cloud, folder, loan=request.param, sink=f"smn:{TOPIC}") as running:
        yield running
    log = (folder / "function.log").read_text()
    assert "jane.roe" not in log
    assert not any(token.id in log for token in cloud.directory.tokens.values())
    assert not any(key.secret in log for key in cloud.directory.access_keys.values())


@pytest.fixture(autouse=True)
def calm(chain: Chain) -> None:
    """Begin each test with an empty topic, and without disorder."""
    chain.cloud.topics.published.clear()
    chain.cloud.engine.invocations.clear()
    chain.cloud.topics.duplicates = 0.0
    chain.cloud.topics.lose = 0
    chain.cloud.faults.clear()


def test_every_share_ends_in_its_outcome_on_the_topic(chain: Chain) -> None:
    """One notice of 25 images: one members call per status and vault, and each image told of exactly once."""
    shared = chain.share(8)
    writes = len(chain.cloud.writes)
    chain.notice(list(shared), "trace-whole")
    chain.settle()
    told = chain.outcomes()
    assert {image: [outcome for outcome, _ in entries] for image, entries in told.items()} == {
        image: [OUTCOMES[owner]] for image, owner in shared.items()
    }
    assert len(chain.cloud.writes) - writes == 3
    assert set(chain.tries()) == {"200"}
    kinds = Counter(event["type"].split(".")[-2] for event in chain.events())
    assert kinds == {"decided": 3, "check": 3, "accepted": 2, "rejected": 1, "held": 1}
    assert {event["correlationid"] for event in chain.events()} == {"trace-whole"}


def test_duplicates_do_no_harm(chain: Chain) -> None:
    """Every message comes twice, and so does the trace: each share is told of truly, and of none otherwise."""
    chain.cloud.topics.duplicates = 1.0
    shared = chain.share(4)
    for _ in range(2):
        chain.notice(list(shared), "trace-twice")
    chain.settle()
    told = chain.outcomes()
    for image, owner in shared.items():
        assert OUTCOMES[owner] in {outcome for outcome, _ in told[image]}
        assert {entry for entry in told[image] if entry[0] != OUTCOMES[owner]} <= {("skipped", "already_settled")}
        expected = {"held": "pending"}.get(OUTCOMES[owner], OUTCOMES[owner])
        assert chain.cloud.member_status(image, PROJECT) == expected
    assert set(chain.tries()) == {"200"}


def test_a_lost_notice_is_made_good_by_the_next_tick(chain: Chain) -> None:
    """The pending list is the truth: the sweep finds what no message told of."""
    shared = chain.share(2)
    chain.cloud.topics.lose = 1
    chain.notice(list(shared), "trace-lost")
    chain.settle()
    assert chain.outcomes() == {}
    chain.tick()
    chain.settle()
    told = chain.outcomes()
    (digest,) = (event for event in chain.events() if event["type"] == "dev.doorman.shares.pending.v1")
    listed = {entry["image_id"] for entry in digest["data"]["images"]}
    for image, owner in shared.items():
        if OUTCOMES[owner] == "held":
            assert image in listed
        else:
            assert [outcome for outcome, _ in told[image]] == [OUTCOMES[owner]]


def test_a_lost_notification_of_the_sweep_is_made_good_by_the_tick_after(chain: Chain) -> None:
    """What one tick could not tell, the next one tells again."""
    shared = [chain.cloud.add_share(GOLDEN, PROJECT) for _ in range(3)]
    chain.cloud.topics.lose = 2
    chain.tick()
    chain.settle()
    assert [chain.cloud.member_status(image, PROJECT) for image in shared] == ["pending"] * 3
    chain.tick()
    chain.settle()
    told = chain.outcomes()
    assert [told[image] for image in shared] == [[("accepted", "allowed_owner")]] * 3


def test_a_lost_check_leaves_every_share_as_decided(chain: Chain) -> None:
    """The job is the cloud's and goes on; what was decided stands on record, and the next tick finds nothing left."""
    image = chain.cloud.add_share(GOLDEN, PROJECT)
    chain.cloud.topics.lose = 2
    chain.invoke(write_trace([image], "trace-check-lost"))
    chain.settle()
    told = [event["type"] for event in chain.events()]
    assert told == ["dev.doorman.share.decided.v1", "dev.doorman.job.check.v1"]
    assert chain.cloud.member_status(image, PROJECT) == "accepted"
    before = len(chain.cloud.writes)
    chain.tick()
    chain.settle()
    assert len(chain.cloud.writes) == before


def test_what_cannot_be_done_now_is_called_again(chain: Chain) -> None:
    """While the image service is down the function answers 503, and the engine's own retry finishes the job."""
    image = chain.cloud.add_share(GOLDEN, PROJECT)
    chain.cloud.faults.add("status", path="/v2/cloudimages", times=5, status=503)
    chain.notice([image], "trace-later")
    chain.settle()
    assert chain.outcomes() == {image: [("accepted", "allowed_owner")]}
    assert chain.tries()["503 200"] == 1
