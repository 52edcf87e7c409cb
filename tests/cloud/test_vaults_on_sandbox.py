"""Plays vault choice on the sandbox: units, room, states and types as its backup service tells them."""

from collections.abc import Sequence
from typing import Any

import pytest

from doorman.cloud.project import Cloud
from doorman.events.messages import OUTCOMES
from tests.chain import GOLDEN, RECEIVER, SECOND_VAULT, VAULT, Chain

pytestmark = pytest.mark.anyio

RULES = f"version: 1\nrules:\n  - {{name: golden, owners: [{GOLDEN}], decision: accept}}\nvaults:\n"
CHOICE = RULES + f"  - candidates: [{VAULT}, {SECOND_VAULT}]\n"
BY_TAG = RULES + "  - tags: {purpose: images}\n"
MB = 1024


def ends(chain: Chain) -> list[tuple[str, str, str | None]]:
    """Give (type, reason, vault) of every outcome told."""
    return sorted(
        (event.type.split(".")[3], entry["reason"], entry["vault_id"])
        for event in chain.tray.events
        if event.type in OUTCOMES
        for entry in event.data["images"]
    )


async def accept(chain: Chain, *, disk: int = 40) -> list[tuple[str, str, str | None]]:
    """Share one full-ECS image of this many GB and see how it ends."""
    await chain.notify(chain.share(full_ecs=True, min_disk=disk, size_gb=disk))
    await chain.settle()
    return ends(chain)


@pytest.mark.parametrize(
    ("first", "vault"),
    [
        ({"size": 2000}, VAULT),
        ({"size": 1000, "used": 1}, SECOND_VAULT),
        ({"size": 1040, "used": 39 * MB}, VAULT),
        ({"size": 1040, "used": 41 * MB}, SECOND_VAULT),
        ({"size": 2000, "status": "lock"}, SECOND_VAULT),
        ({"size": 2000, "status": "frozen"}, SECOND_VAULT),
        ({"size": 2000, "status": "error"}, SECOND_VAULT),
        ({"size": 2000, "object_type": "disk"}, SECOND_VAULT),
        ({"size": 2000, "protect_type": "replication"}, SECOND_VAULT),
        ({"size": 2000, "project_id": "other"}, SECOND_VAULT),
    ],
)
async def test_the_fitting_vault_with_the_most_room_is_taken(first: dict[str, Any], vault: str) -> None:
    """Sizes come in GB and what is used in MB; a vault that is closed or of another kind is no choice."""
    chain = Chain(policy=CHOICE)
    chain.cloud.add_project("other")
    for name, value in first.items():
        setattr(chain.cloud.vaults[VAULT], name, value)
    assert await accept(chain) == [("accepted", "allowed_owner", vault)]
    assert chain.members_calls() == [200]


@pytest.mark.parametrize(("used", "end"), [(960 * MB, "accepted"), (960 * MB + 1, "held"), (1000 * MB, "held")])
async def test_a_vault_takes_what_just_fits(used: int, end: str) -> None:
    """40 GB go into 40 free ones; with one MB less the share waits, and no call is made."""
    chain = Chain(policy=CHOICE)
    for vault in (VAULT, SECOND_VAULT):
        chain.cloud.vaults[vault].used = used
    [(kind, reason, _)] = await accept(chain)
    assert (kind, reason) == (end, "allowed_owner" if end == "accepted" else "vault_missing")
    assert chain.members_calls() == ([200] if end == "accepted" else [])


async def test_a_batch_is_spread_over_the_vaults_that_it_fills() -> None:
    """Five images of 40 GB go into vaults with 100 and 90 GB free: two each, and the fifth waits for a person."""
    chain = Chain(policy=CHOICE)
    chain.cloud.vaults[VAULT].size, chain.cloud.vaults[SECOND_VAULT].size = 100, 90
    await chain.notify(*(chain.share(full_ecs=True, min_disk=40, size_gb=40) for _ in range(5)))
    await chain.settle()
    assert ends(chain) == [
        *[("accepted", "allowed_owner", VAULT)] * 2,
        *[("accepted", "allowed_owner", SECOND_VAULT)] * 2,
        ("held", "vault_missing", None),
    ]


async def test_a_vault_is_found_by_its_tag() -> None:
    """Another one with more room but without the tag is left alone."""
    chain = Chain(policy=BY_TAG)
    chain.cloud.vaults[VAULT].size = 5000
    chain.cloud.vaults[SECOND_VAULT].tags = {"purpose": "images", "stage": "prod"}
    assert await accept(chain) == [("accepted", "allowed_owner", SECOND_VAULT)]


async def test_a_vault_that_is_deleted_between_choice_and_call_gives_way() -> None:
    """The cloud answers that it cannot be obtained; the other one is taken."""
    chain = Chain(policy=RULES + f"  - vault: gone\n  - candidates: [{VAULT}]\n")
    assert await accept(chain) == [("accepted", "allowed_owner", VAULT)]


async def test_candidates_that_are_gone_leave_the_share_to_a_person() -> None:
    """The list no longer has them, so no call is made."""
    chain = Chain(policy=CHOICE)
    chain.cloud.vaults.clear()
    assert await accept(chain) == [("held", "vault_missing", None)]
    assert (chain.members_calls(), chain.cloud.calls_to("GET", f"/v3/{RECEIVER}/vaults") != []) == ([], True)


async def test_a_plain_mapping_never_asks_the_backup_service() -> None:
    """It needs no right to list vaults."""
    chain = Chain(policy=RULES + f"  - vault: {VAULT}\n")
    assert await accept(chain) == [("accepted", "allowed_owner", VAULT)]
    assert [call.path for call in chain.cloud.calls if "/vaults" in call.path] == []


@pytest.mark.parametrize("check", ["submit", "job"])
async def test_deleted_between_choice_and_call(check: str) -> None:
    """A vault that vanishes after it was chosen gives way to the next one, at the call or at the job's end."""
    chain = Chain(policy=CHOICE)
    chain.cloud.settings.vault_check = check  # type: ignore[assignment]
    chain.cloud.vaults[VAULT].size = 9000

    class Vanishing(Cloud):
        async def settle(self, images: Sequence[str], **more: Any) -> str:
            chain.cloud.vaults.pop(VAULT, None)
            return await super().settle(images, **more)

    await chain.swap(Vanishing)
    assert await accept(chain) == [("accepted", "allowed_owner", SECOND_VAULT)]
    asked = [job.vault_id for job in chain.cloud.jobs.values()]
    assert asked == ([SECOND_VAULT] if check == "submit" else [VAULT, SECOND_VAULT])
