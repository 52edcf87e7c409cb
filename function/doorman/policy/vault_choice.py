"""Chooses the vault for a full-ECS image: the policy's entries in order, within a choice the one with the most room.

Reads no list itself: it is given what the backup service said, see
https://docs.otc.t-systems.com/cloud-backup-recovery/api-ref/cbr_apis/vaults/querying_the_vault_list.html
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from doorman.models import Share, Vault
from doorman.policy.policy import VaultRule

_GIB = 1024**3


def choose(
    entries: Sequence[VaultRule], share: Share, *, tried: Collection[str], vaults: Sequence[Vault] | None
) -> str | None:
    """Return the first vault of `entries` that was not tried; None where none is left.

    Args:
        entries: those that serve the share, in the order of the policy.
        share: for the capacity that it needs.
        tried: vaults that failed already.
        vaults: what the backup service lists; None where it was not read: then candidates go in their own order,
            and nothing can be chosen by tags.
    """
    return next((each for entry in entries for each in _offers(entry, share, vaults) if each not in tried), None)


def is_usable(vault: Vault, share: Share, *, min_free: int = 0) -> bool:
    """Say whether the vault can take the share: an open one for server backups, with room for it and `min_free` GB."""
    return (
        vault.object_type == "server"
        and vault.protect_type == "backup"
        and vault.status == "available"
        and not vault.locked
        and (vault.auto_expand or vault.free >= max(need(share), min_free))
    )


def reserve(vaults: Sequence[Vault] | None, vault_id: str | None, share: Share) -> tuple[Vault, ...] | None:
    """Return the list as it will be with the share in its vault, for the choice of the batch's next one."""
    if vaults is None:
        return None
    return tuple(replace(each, used=each.used + need(share)) if each.vault_id == vault_id else each for each in vaults)


def need(share: Share) -> float:
    """Return the GB that the share is known to need at least: its disk or its size, 1 where neither is known."""
    return max(share.min_disk or 0, (share.size or 0) / _GIB) or 1


def _offers(entry: VaultRule, share: Share, vaults: Sequence[Vault] | None) -> Iterator[str]:
    if entry.vault is not None:
        yield entry.vault
    elif vaults is None:
        yield from entry.candidates
    else:
        fitting = [
            each for each in vaults if _is_meant(entry, each) and is_usable(each, share, min_free=entry.min_free)
        ]
        yield from (each.vault_id for each in sorted(fitting, key=lambda each: (-each.free, each.vault_id)))


def _is_meant(entry: VaultRule, vault: Vault) -> bool:
    return vault.vault_id in entry.candidates or (bool(entry.tags) and entry.tags <= frozenset(vault.tags))
