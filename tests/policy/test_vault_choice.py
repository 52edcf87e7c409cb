"""Chooses vaults: order of the entries, room, type and status at each boundary, and what was tried already."""

from dataclasses import replace
from typing import Any

import pytest

from doorman.models import Share, Vault
from doorman.policy.policy import VaultRule
from doorman.policy.vault_choice import choose, is_usable, need, reserve

SHARE = Share(
    image_id="6596628c-42d4-4ff1-8660-8ea5ae61f243", project_id="receiver", owner="aaa", min_disk=40, full_ecs=True
)
GIB = 1024**3


def vault(name: str, **facts: Any) -> Vault:
    """Make an open vault for server backups with 100 GB, nothing used."""
    usual = {"size": 100, "used": 0, "object_type": "server", "protect_type": "backup", "status": "available"}
    return Vault(vault_id=name, **{**usual, **facts})


@pytest.mark.parametrize(
    ("facts", "usable"),
    [
        ({}, True),
        ({"used": 60}, True),
        ({"used": 60.001}, False),
        ({"used": 100}, False),
        ({"used": 120}, False),
        ({"used": 100, "auto_expand": True}, True),
        ({"object_type": "disk"}, False),
        ({"object_type": "turbo"}, False),
        ({"protect_type": "replication"}, False),
        ({"status": "lock"}, False),
        ({"status": "frozen"}, False),
        ({"status": "deleting"}, False),
        ({"status": "error"}, False),
        ({"locked": True}, False),
    ],
)
def test_a_vault_must_be_open_and_have_room(*, facts: dict[str, Any], usable: bool) -> None:
    """40 GB go into 40 free ones, and into a vault that grows by itself; other types and states take nothing."""
    assert is_usable(vault("v", **facts), SHARE) is usable


@pytest.mark.parametrize(
    ("facts", "gigabytes"),
    [
        ({"min_disk": 40, "size": None}, 40),
        ({"min_disk": 40, "size": 50 * GIB}, 50),
        ({"min_disk": None, "size": GIB // 2}, 0.5),
        ({"min_disk": None, "size": None}, 1),
        ({"min_disk": 0, "size": 0}, 1),
    ],
)
def test_the_need_is_the_larger_of_disk_and_size(facts: dict[str, Any], gigabytes: float) -> None:
    """Where neither is known, a gigabyte: a full vault is no choice."""
    assert need(replace(SHARE, **facts)) == gigabytes


def test_the_candidate_with_the_most_room_goes_first() -> None:
    """The others follow by room, then by ID; one that is not a candidate never comes."""
    listed = [vault("b", used=10), vault("a", used=10), vault("c"), vault("other", size=1000), vault("full", used=99)]
    entry = VaultRule(candidates=("a", "b", "c", "full", "gone"))
    tried: list[str] = []
    while (chosen := choose([entry], SHARE, tried=tried, vaults=listed)) is not None:
        tried.append(chosen)
    assert tried == ["c", "a", "b"]


def test_a_choice_may_ask_for_free_room() -> None:
    """A vault with room for the share, but less than asked for, is passed over; one that grows by itself is not."""
    listed = [vault("a", used=50), vault("b", used=99, auto_expand=True)]
    chosen = [
        choose([VaultRule(candidates=("a", "b"), min_free=each)], SHARE, tried=(), vaults=listed) for each in (50, 51)
    ]
    assert chosen == ["a", "b"]


def test_a_tagged_vault_must_carry_every_tag() -> None:
    """Further tags on the vault do no harm; another value does."""
    listed = [
        vault("one", tags=(("purpose", "images"),)),
        vault("both", used=50, tags=(("purpose", "images"), ("stage", "prod"), ("x", "y"))),
        vault("other", tags=(("purpose", "images"), ("stage", "test"))),
        vault("none"),
    ]
    entry = VaultRule(tags=frozenset({("purpose", "images"), ("stage", "prod")}))
    assert choose([entry], SHARE, tried=(), vaults=listed) == "both"
    assert choose([entry], SHARE, tried=("both",), vaults=listed) is None


def test_entries_follow_each_other() -> None:
    """A choice that yields nothing more falls to the next entry; a fixed vault is taken as the policy says."""
    entries = [VaultRule(candidates=("a", "b")), VaultRule(vault="fixed"), VaultRule(vault="last")]
    listed = [vault("a")]
    chosen = [choose(entries, SHARE, tried=tried, vaults=listed) for tried in ((), ("a",), ("a", "fixed"))]
    assert chosen == ["a", "fixed", "last"]
    assert choose(entries, SHARE, tried=("a", "fixed", "last"), vaults=listed) is None


def test_without_a_list_candidates_go_in_their_own_order() -> None:
    """A person named them, so they may be tried; by tags nothing can be chosen."""
    entries = [VaultRule(tags=frozenset({("purpose", "images")})), VaultRule(candidates=("b", "a"))]
    chosen = [choose(entries, SHARE, tried=tried, vaults=None) for tried in ((), ("b",), ("b", "a"))]
    assert chosen == ["b", "a", None]


def test_a_round_fills_one_vault_after_the_other() -> None:
    """What was chosen for one share is gone for the next, so that a batch does not run into a vault that it fills."""
    entry = VaultRule(candidates=("large", "small"))
    listed: tuple[Vault, ...] | None = (vault("small", size=50), vault("large"))
    chosen = []
    for _ in range(4):
        chosen.append(choose([entry], SHARE, tried=(), vaults=listed))
        listed = reserve(listed, chosen[-1], SHARE)
    assert chosen == ["large", "large", "small", None]
    assert reserve(None, "large", SHARE) is None


@pytest.mark.parametrize(
    ("owners", "projects", "serves"),
    [
        (None, None, True),
        ({"aaa"}, None, True),
        ({"bbb"}, None, False),
        (None, {"receiver"}, True),
        (None, {"other"}, False),
        ({"aaa"}, {"other"}, False),
    ],
)
def test_an_entry_serves_its_owners_and_projects(
    *, owners: set[str] | None, projects: set[str] | None, serves: bool
) -> None:
    """Without owners or projects it is for everyone."""
    entry = VaultRule(
        owners=None if owners is None else frozenset(owners),
        projects=None if projects is None else frozenset(projects),
        vault="v",
    )
    assert entry.serves(SHARE) is serves
