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
        ({"size": 1040, "used": 39 * MB}, VAULT),
        ({"size": 1040, "used": 41 * MB}, SECOND_VAULT),
        ({"size": 2000, "status": "lock"}, SECOND_VAULT),
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
