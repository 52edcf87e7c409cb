"""What the served cloud holds, for questions about a policy: shares of whatever status, vaults, and which projects."""

import os
from argparse import Namespace
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast, get_args

from doorman.errors import DoormanError, Misconfigured
from doorman.models import Share, Vault
from doorman.policy.document.faults import Fault
from doorman.policy.document.yaml_reader import Node, Path
from doorman.policy.policy import load, resolve
from doorman.policy.schema import Api, PolicyFile
from doorman.policy.tools.dangers import placed

if TYPE_CHECKING:
    from doorman.handlers.context import ProjectContext


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was read.

    Attributes:
        shares: of others' images. vaults: None where they cannot be listed.
        projects: the IDs that are served. names: of these projects, as far as the environment gives them, to their IDs.
    """

    shares: tuple[Share, ...]
    vaults: tuple[Vault, ...] | None
    projects: frozenset[str]
    names: Mapping[str, str] = field(default_factory=dict)


def served_api() -> Api:
    """Say which image service `DOORMAN_API` names.

    Raises:
        Misconfigured: it is none.
    """
    name = (os.environ.get("DOORMAN_API") or "ims").lower()
    if name not in get_args(Api):
        raise Misconfigured(f"DOORMAN_API: expected one of {', '.join(get_args(Api))}, got {name[:40]!r}")
    return cast("Api", name)


def look() -> Seen:
    """Read what the served projects hold; no policy is needed.

    Raises:
        Misconfigured: a variable is missing or wrong.
        Unavailable: a project cannot be read now.
    """
    import asyncio  # noqa: PLC0415 - most questions need no cloud

    return asyncio.run(_look())


def compare_with(content: PolicyFile, root: Node, seen: Seen) -> Iterator[Fault]:
    """Yield what the policy names, and the cloud does not know."""
    owners = {share.owner for share in seen.shares}
    for path, entry in placed(content):
        for index, each in enumerate(entry.owners or ()):
            for owner in sorted((resolve([each], content) or frozenset()) - owners):
                text = f"{owner} never shared anything with the served projects: is it the right ID?"
                yield root.fault((*path, "owners", index), text)
        for index, each in enumerate(entry.projects or ()):
            for project in sorted((resolve([each], content) or frozenset()) - seen.projects):
                right = (
                    f"that is a name, write {seen.names[project]}" if project in seen.names else "is it the right ID?"
                )
                yield root.fault((*path, "projects", index), f"{project} is no project that is served: {right}")
    listed = {vault.vault_id for vault in seen.vaults or ()}
    named = {vault.name: vault.vault_id for vault in seen.vaults or () if vault.name}
    for number, vault in enumerate(content.vaults if seen.vaults is not None else ()):
        given: list[tuple[Path, str]] = [
            (("vaults", number, "candidates", index), each) for index, each in enumerate(vault.candidates or ())
        ]
        given += [(("vaults", number, "vault"), vault.vault)] if vault.vault else []
        for place, each in given:
            if each not in listed:
                right = f"that is a name, write {named[each]}" if each in named else "is it the right ID?"
                yield root.fault(
                    place, f"{each} is no vault of the served projects that takes servers' backups: {right}"
                )


async def _look() -> Seen:
    from doorman.entrypoints.cli.session import open_projects  # noqa: PLC0415 - most questions need no cloud

    arguments = Namespace(os_cloud=None, policy=None)
    any_policy = load("version: 1")
    chosen = open_projects(arguments, projects=[], is_telling=False, as_json=False, policy=any_policy)
    async with chosen as session:
        contexts, errors = await session.projects.contexts()
        if errors:
            raise errors[0]  # half an answer would look like a whole one
        read = [await _read(context) for context in contexts]
        vaults = [await _read_vaults(context) for context in contexts]
    accounts = contexts[0].settings.identity.accounts
    name = accounts[0].project.name if len(accounts) == len(contexts) == 1 else None
    return Seen(
        shares=tuple(share for shares in read for share in shares),
        vaults=None if None in vaults else tuple(vault for each in vaults for vault in each or ()),
        projects=frozenset(context.project_id for context in contexts),
        names={name: contexts[0].project_id} if name else {},
    )


async def _read(context: "ProjectContext") -> list[Share]:
    cloud = context.cloud
    lists = [await cloud.pending(), await cloud.settled("accepted"), await cloud.settled("rejected")]
    return [share for shares in lists for share in shares.values() if share.owner != context.project_id]


async def _read_vaults(context: "ProjectContext") -> tuple[Vault, ...] | None:
    try:
        return await context.cloud.vaults() if context.settings.api == "ims" else None
    except DoormanError:
        return None  # not every user may list them, and a policy may do without
