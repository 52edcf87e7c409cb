"""A person's decision, written as a policy: one rule for the named images, before and instead of all others. Pure."""

from collections.abc import Sequence
from dataclasses import replace

from doorman.models import Action
from doorman.policy.conditions import on_image
from doorman.policy.policy import Policy, Rule, VaultRule
from doorman.policy.schema import ImagesEntry

RULE = "by hand"
"""The rule's name, in outcomes and logs."""


def override_by_hand(policy: Policy, images: Sequence[str], *, action: Action, vault_id: str | None = None) -> Policy:
    """Put a person's decision in the place of the policy's rules; its vaults stay.

    A person is not held back by the file's audit mode or limits, and may change what was settled before.

    Args:
        images: their IDs, at least one.
        vault_id: the vault for full-ECS images, before those of the policy.
    """
    conditions = on_image(ImagesEntry(ids=list(images)))
    rule = Rule(name=RULE, action=action, conditions=conditions, first=conditions[0].test, by_hand=True)
    return replace(
        policy,
        mode="enforce",
        rules=(rule,),
        exceptions=(),
        by_owner={},
        for_strangers=(rule,),
        vaults=(*([VaultRule(vault=vault_id)] if vault_id else []), *policy.vaults),
        accepts_per_owner=None,
        settles_anew=True,
    )
