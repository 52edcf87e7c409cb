"""The words of the policy file: what each key must be, for messages and for the JSON Schema's descriptions."""

from collections.abc import Mapping
from typing import Final

from doorman.policy.document.advice import Vocabulary
from doorman.policy.schema import (
    Bounds,
    ExceptionEntry,
    ImagesEntry,
    LimitsEntry,
    PolicyFile,
    ReconcileEntry,
    RuleEntry,
    VaultEntry,
)

_ID: Final = "1 to 64 of `A-Z a-z 0-9 _ -`"
_PROJECT: Final = "9c61004714024f9586705d090530f9fa"

EXPECTED: Final[Mapping[str, str]] = {
    "": "a mapping that begins with `version: 1`",
    "version": "the number 1",
    "mode": "`enforce` or `audit`",
    "default": "`hold` or `reject`",
    "decision": "`accept`, `reject` or `hold`",
    "groups": f"a mapping of names to lists of project IDs, such as `partners: [{_PROJECT}]`",
    "groups.*": f"a list of project IDs, such as `[{_PROJECT}]`",
    "groups.*.[]": f"a project ID: {_ID}",
    "rules": "a list of rules, each beginning with `- name:`",
    "rules.[]": "a mapping with `name`, conditions and `decision`",
    "exceptions": "a list of exceptions, each beginning with `- name:`",
    "exceptions.[]": "a mapping with `name`, conditions, `decision`, `reason`, `by` and `expires`",
    "vaults": "a list of entries, such as `- vault: VAULT_ID`",
    "vaults.[]": "a mapping with `vault`, `candidates` or `tags`",
    "limits": "a mapping, such as `accepts_per_owner: 50`",
    "accepts_per_owner": "a whole number from 1",
    "reconcile": "a mapping, such as `enforce: true`",
    "tell": "`true` or `false`: whether the sweep tells of shares that were settled otherwise",
    "enforce": "`true` or `false`: whether it settles them anew",
    "name": "a text of 1 to 100 characters on one line, such as `golden-images`",
    "owners": f"a list of project IDs or `group:NAME`, such as `[{_PROJECT}, group:partners]`",
    "owners.[]": f"a project ID ({_ID}) or `group:NAME`",
    "projects": f"a list of receiving project IDs, such as `[{_PROJECT}]`",
    "projects.[]": f"a project ID: {_ID}",
    "images": "a mapping of conditions, such as `names: [golden-*]`",
    "ids": "a list of image IDs (UUIDs), such as `[6596628c-42d4-4ff1-8660-8ea5ae61f243]`",
    "ids.[]": "an image ID: a UUID such as `6596628c-42d4-4ff1-8660-8ea5ae61f243`",
    "names": "a list of name patterns, such as `[golden-*]`",
    "names.[]": "a pattern of 1 to 255 characters, such as `golden-*`",
    "tags": "a list of tags, such as `[golden]`",
    "tags.[]": "a tag of 1 to 255 characters",
    "os_type": "`Linux`, `Windows` or `Other`, or a list of them",
    "platform": "a pattern such as `Ubuntu*`, or a list of them",
    "os_version": 'a pattern such as `"Ubuntu 22.04*"`, or a list of them',
    "architecture": "`x86_64` or `arm64`, or a list of them",
    "kind": "`server`, `data`, `iso` or `bare_metal`, or a list of them",
    "firmware": "`bios` or `uefi`, or a list of them",
    "hash": "the `os_hash_value` in hexadecimal, 32 to 128 digits, or a list of them",
    "full_ecs": "`true` or `false`",
    "encrypted": "`true` or `false`",
    "disk_gb": "a mapping with `at_least`, `at_most` or both, such as `at_most: 100`",
    "memory_mb": "a mapping with `at_least`, `at_most` or both, such as `at_most: 8192`",
    "age_days": "a mapping with `at_least`, `at_most` or both, such as `at_most: 30`",
    "at_least": "a whole number from 0",
    "at_most": "a whole number from 0",
    "reason": "a text that says why, such as `Migration of team blue, ticket 4711`",
    "by": "a text that says who answers for it, such as `jane.doe@example.com`",
    "expires": "the last day that it counts, such as `2026-12-31`",
    "vault": f"one vault ID: {_ID}",
    "candidates": "a list of vault IDs, such as `[8f0c3b52-7d0e-4b8e-9a55-0d6f0a3f3c11]`",
    "candidates.[]": f"a vault ID: {_ID}",
    "vaults.[].tags": "a mapping of vault tags, such as `purpose: images`",
    "vaults.[].tags.*": "a text",
}

WORDS: Final = Vocabulary(
    whole="the policy",
    expected=EXPECTED,
    keys={
        "": list(PolicyFile.model_fields),
        "rules.[]": list(RuleEntry.model_fields),
        "exceptions.[]": list(ExceptionEntry.model_fields),
        "vaults.[]": list(VaultEntry.model_fields),
        "limits": list(LimitsEntry.model_fields),
        "reconcile": list(ReconcileEntry.model_fields),
        "images": list(ImagesEntry.model_fields),
        "disk_gb": list(Bounds.model_fields),
        "memory_mb": list(Bounds.model_fields),
        "age_days": list(Bounds.model_fields),
    },
    places={"rules.[]": "a rule", "exceptions.[]": "an exception", "vaults.[]": "a vault entry"},
    named=frozenset({"groups", "vaults.[].tags"}),
)
