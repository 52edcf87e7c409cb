"""Finds clouds.yaml and secure.yaml on the usual search path and reads entries from them, anew each time."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from doorman.cloud.auth.accounts import Account, HandOver, Keys
from doorman.cloud.auth.clouds_yaml import Source, find_clouds, parse, read_entry
from doorman.cloud.auth.environ import Identity, find_config_home
from doorman.cloud.auth.logins import read_accounts
from doorman.cloud.auth.variables import Values
from doorman.errors import Misconfigured
from doorman.parsing import visible

SUFFIXES = (".yaml", ".yml", ".json")
SECRETS = ("password", "secret", "sk:", "secret_key", "token", "passcode")
FOR_ALL = 0o004  # the bit of a file's mode that lets everybody read it


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudFiles:
    """The files that entries are read from.

    Attributes:
        config: clouds.yaml. secure: secure.yaml, laid over it; None without one.
        vendors: clouds-public.yaml with vendor profiles; none is usual.
        fallbacks: `OS_*` values of the environment for entries that do not say.
        is_secure_named: the environment names secure.yaml; it was not just found.
    """

    config: Path
    secure: Path | None
    vendors: tuple[str, ...] = ()
    fallbacks: Mapping[str, str]
    is_secure_named: bool = False

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
        vendors = find_file("clouds-public", places)
        return cls(
            config=config,
            secure=secure,
            vendors=(str(vendors),) if vendors else (),
            fallbacks=identity.fallbacks,
            is_secure_named=identity.secure_file is not None,
        )

    def accounts(self, cloud: str) -> tuple[Account, ...]:
        """Read the entry `cloud`, as the files say now, into the account of each project that it serves.

        Raises:
            Misconfigured: a file or the entry cannot be read.
        """
        secure = read_text(self.secure) if self.secure else None
        source = Source(file=str(self.config), cloud=cloud, fallbacks=self.fallbacks, vendor_files=self.vendors)
        found = read_entry(read_text(self.config), secure, source)
        if isinstance(found, HandOver):
            from doorman.cloud.auth.openstacksdk import read_handed  # noqa: PLC0415 - a slow start for rare logins

            accounts = read_handed(found, entry=cloud)
        else:
            accounts = read_accounts(found, entry=cloud)
        for account in accounts if self._is_secure_strange() else ():
            self._check_host(account, cloud)
        return accounts

    def read_again(self, account: Account) -> Account:
        """Read the entry of `account` anew; it must still be for its project, and log in or sign as it did.

        Raises:
            Misconfigured: it cannot be read, or is another one by now.
        """
        cloud, wanted = account.entry or "", (account.project, isinstance(account.login, Keys))
        for found in self.accounts(cloud):
            if (found.project, isinstance(found.login, Keys)) == wanted:
                return found
        raise Misconfigured(f"{self.config}: clouds.{cloud} has another project or login now: restart to use it")

    def notes(self) -> tuple[str, ...]:
        """Say what a person should know of the files: who else may read them, and what is laid over what."""
        files = [self.config, *([self.secure] if self.secure else [])]
        open_files = [file for file in files if has_secret(file) and file.stat().st_mode & FOR_ALL]
        notes = [f"{file} holds secrets, and everybody on this machine may read it: chmod o-r" for file in open_files]
        if self._is_secure_strange():
            notes.append(f"{self.secure} is laid over {self.config}, which names the host that its secrets go to")
        return tuple(notes)

    def _is_secure_strange(self) -> bool:
        """Say whether secrets are laid over a file from elsewhere, as a folder from strangers may bring it along."""
        return bool(self.secure and not self.is_secure_named and self.secure.parent != self.config.parent)

    def _check_host(self, account: Account, cloud: str) -> None:
        url = urlsplit(account.auth_url or account.endpoints.image or "")
        if url.scheme == "http" and not is_loopback(url.hostname or ""):
            raise Misconfigured(
                f"{self.config}: clouds.{cloud}: the secrets of {self.secure} would go to {url.hostname} unencrypted, "
                "which a file in another folder names: use https, or name both in OS_CLIENT_CONFIG_FILE and "
                "OS_CLIENT_SECURE_FILE"
            )


def usual_folders(*, here: Path, config_home: str | None) -> tuple[Path, ...]:
    """List where clouds.yaml is looked for, first place first; `config_home` is usually `~/.config`."""
    user = (Path(config_home) / "openstack",) if config_home else ()
    return (here, *user, Path("/etc/openstack"))


def find_file(stem: str, folders: Iterable[Path]) -> Path | None:
    """Find the first readable `stem` with a suffix of YAML or JSON."""
    places = (folder / f"{stem}{suffix}" for folder in folders for suffix in SUFFIXES)
    return next((place for place in places if place.is_file()), None)


def name_entries(environ: Mapping[str, str]) -> str:
    """Say, for a message, which entries the clouds.yaml in sight has; nothing where there is none to be read."""
    values = Values(environ)
    named = values.get("OS_CLIENT_CONFIG_FILE")
    folders = usual_folders(here=Path.cwd(), config_home=find_config_home(values))
    file = Path(named) if named else find_file("clouds", folders)
    try:
        entries = find_clouds(parse(read_text(file), file=str(file))) if file else {}
    except Misconfigured:
        entries = {}
    return f". {file} has the entries {visible(', '.join(map(str, entries)))}: set OS_CLOUD" if entries else ""


def has_secret(file: Path) -> bool:
    """Say whether a file seems to hold secrets."""
    return any(word in read_text(file) for word in SECRETS)


def is_loopback(host: str) -> bool:
    """Say whether a host is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def read_text(path: Path) -> str:
    """Read a file.

    Raises:
        Misconfigured: it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{path} cannot be read: {type(error).__name__}") from error
