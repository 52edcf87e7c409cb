"""Finds clouds.yaml and secure.yaml on the usual search path and reads entries from them, anew each time."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from doorman.cloud.auth.accounts import Account, Project
from doorman.cloud.auth.clouds_yaml import read_entry
from doorman.cloud.auth.environ import Identity, read_accounts
from doorman.cloud.auth.variables import Values
from doorman.errors import Misconfigured

SUFFIXES = (".yaml", ".yml", ".json")


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudFiles:
    """The files that entries are read from.

    Attributes:
        config: clouds.yaml. secure: secure.yaml, laid over it; None without one.
        fallbacks: `OS_*` values of the environment for entries that do not say.
    """

    config: Path
    secure: Path | None
    fallbacks: Mapping[str, str]

    @classmethod
    def find(cls, identity: Identity, *, folders: Iterable[Path]) -> Self:
        """Find the files: those that the environment names, else the first in `folders`.

        Raises:
            Misconfigured: there is no clouds.yaml.
        """
        places = tuple(folders)
        config = Path(identity.config_file) if identity.config_file else find_file("clouds", places)
        if config is None:
            raise Misconfigured(f"no clouds.yaml in {', '.join(map(str, places))}: set OS_CLIENT_CONFIG_FILE")
        secure = Path(identity.secure_file) if identity.secure_file else find_file("secure", (config.parent, *places))
        return cls(config=config, secure=secure, fallbacks=identity.fallbacks)

    def read(self, cloud: str) -> Values:
        """Read the entry `cloud` as the files say now.

        Raises:
            Misconfigured: a file or the entry cannot be read.
        """
        secure = read_text(self.secure) if self.secure else None
        text = read_text(self.config)
        return read_entry(text, secure, cloud=cloud, file=str(self.config), fallbacks=self.fallbacks)

    def account(self, cloud: str) -> Account:
        """Read the entry `cloud` into the account of the one project that it serves.

        Raises:
            Misconfigured: the entry cannot be read, or names several projects.
        """
        accounts = read_accounts(values := self.read(cloud))
        if len(accounts) > 1:
            raise Misconfigured(f"{values.spell('OS_PROJECT_ID')} names several projects: make one entry for each")
        return accounts[0]

    def account_of(self, project: Project, cloud: str) -> Account:
        """Read the entry `cloud` anew; it must still be for `project`.

        Raises:
            Misconfigured: it cannot be read, or serves another project by now.
        """
        account = self.account(cloud)
        if account.project != project:
            raise Misconfigured(f"{self.config}: clouds.{cloud} names another project now: restart to serve it")
        return account


def usual_folders(*, here: Path, config_home: str | None) -> tuple[Path, ...]:
    """List where clouds.yaml is looked for, first place first; `config_home` is usually `~/.config`."""
    user = (Path(config_home) / "openstack",) if config_home else ()
    return (here, *user, Path("/etc/openstack"))


def find_file(stem: str, folders: Iterable[Path]) -> Path | None:
    """Find the first readable `stem` with a suffix of YAML or JSON."""
    places = (folder / f"{stem}{suffix}" for folder in folders for suffix in SUFFIXES)
    return next((place for place in places if place.is_file()), None)


def read_text(path: Path) -> str:
    """Read a file.

    Raises:
        Misconfigured: it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{path} cannot be read: {type(error).__name__}") from error
