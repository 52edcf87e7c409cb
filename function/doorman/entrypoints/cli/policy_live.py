"""What the served cloud holds, for questions about a policy: shares of whatever status, vaults, and which projects."""

import os
from argparse import Namespace
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast, get_args

from doorman.errors import DoormanError, Misconfigured
from doorman.models import Api, Share, Vault
from doorman.policy.document.faults import Fault
from doorman.policy.document.yaml_reader import Node
from doorman.policy.policy import load, resolve
from doorman.policy.schema import PolicyFile
from doorman.policy.tools.lint import list_projects, list_vaults

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
    for path, entries in list_projects(content):
        for index, each in enumerate(entries if path[0] in {"rules", "exceptions"} else ()):
            for project in sorted(resolve([each], content) or ()):
                if path[-1] == "owners" and project not in owners:
                    text = f"{project} never shared anything with the served projects: is it the right ID?"
                    yield root.fault((*path, index), text)
                if path[-1] == "projects" and project not in seen.projects:
                    text = f"{project} is no project that is served: {_advise(project, seen.names)}"
                    yield root.fault((*path, index), text)
    if seen.vaults is not None:
        listed = {vault.vault_id for vault in seen.vaults}
        names = {vault.name: vault.vault_id for vault in seen.vaults if vault.name}
        for path, each in list_vaults(content):
            if each not in listed:
                text = f"{each} is no vault of the served projects that takes servers' backups: {_advise(each, names)}"
                yield root.fault(path, text)


def _advise(given: str, names: Mapping[str, str]) -> str:
    return f"that is a name, write {names[given]}" if given in names else "is it the right ID?"


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
    lists = [await cloud.pending(), await cloud.listed("accepted"), await cloud.listed("rejected")]
    return [share for shares in lists for share in shares.values() if share.owner != context.project_id]


async def _read_vaults(context: "ProjectContext") -> tuple[Vault, ...] | None:
    try:
        return await context.cloud.vaults() if context.settings.api == "ims" else None
    except DoormanError:
        return None  # not every user may list them, and a policy may do without
