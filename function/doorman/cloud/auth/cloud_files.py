"""Finds clouds.yaml and secure.yaml on the usual search path and reads entries from them, anew each time."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from doorman.cloud.auth.accounts import Account, HandOver, Keys
from doorman.cloud.auth.catalog import OVERRIDES
from doorman.cloud.auth.clouds_yaml import Source, find_clouds, parse, read_entry
from doorman.cloud.auth.environ import Identity
from doorman.cloud.auth.logins import PROJECT_IDS, PROJECT_NAMES, read_accounts
from doorman.cloud.auth.variables import Values
from doorman.errors import Misconfigured
from doorman.parsing import as_utf8, visible

SUFFIXES = (".yaml", ".yml", ".json")
SECRETS = ("password", "secret", "sk:", "secret_key", "token", "passcode")
FOR_ALL = 0o004  # the bit of a file's mode that lets everybody read it
# What an entry takes from the environment where it does not say so itself; a single entry also its project.
FALLBACKS = ("OS_CACERT", "OS_REGION_NAME", "OS_INTERFACE", *OVERRIDES.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudFiles:
    """The files that entries are read from.

    Attributes:
        config: clouds.yaml. secure: secure.yaml, laid over it; None without one.
        vendors: clouds-public.yaml with vendor profiles; none is usual.
        fallbacks: `OS_*` values of the environment for entries that do not say.
        is_secure_strange: secure.yaml was found elsewhere than clouds.yaml, as a folder from strangers may bring along.
    """

    config: Path
    secure: Path | None
    vendors: tuple[str, ...] = ()
    fallbacks: Mapping[str, str]
    is_secure_strange: bool = False

    @classmethod
    def find(cls, identity: Identity, *, folders: Sequence[Path] | None = None) -> Self:
        """Find the files: those that the environment names, else the first in `folders` (None: the usual ones).

        Raises:
            Misconfigured: there is no clouds.yaml.
        """
        values = identity.values
        places = list_folders(values) if folders is None else folders
        config = find_file(values, "OS_CLIENT_CONFIG_FILE", "clouds", places)
        if config is None:
            raise Misconfigured(f"no clouds.yaml in {', '.join(map(str, places))}: set OS_CLIENT_CONFIG_FILE")
        secure = find_file(values, "OS_CLIENT_SECURE_FILE", "secure", (config.parent, *places))
        vendors = find_file(values, None, "clouds-public", places)
        wanted = FALLBACKS + (PROJECT_IDS + PROJECT_NAMES if len(identity.clouds) == 1 else ())
        return cls(
            config=config,
            secure=secure,
            vendors=(str(vendors),) if vendors else (),
            fallbacks={name: value for name in wanted if (value := values.get(name))},
            is_secure_strange=bool(
                secure and secure.parent != config.parent and not values.get("OS_CLIENT_SECURE_FILE")
            ),
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
        for account in accounts if self.is_secure_strange else ():
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
        secret = [file for file in files if any(word in read_text(file) for word in SECRETS)]
        open_files = [file for file in secret if file.stat().st_mode & FOR_ALL]
        notes = [f"{file} holds secrets, and everybody on this machine may read it: chmod o-r" for file in open_files]
        if self.is_secure_strange:
            notes.append(f"{self.secure} is laid over {self.config}, which names the host that its secrets go to")
        return tuple(notes)

    def _check_host(self, account: Account, cloud: str) -> None:
        url = urlsplit(account.auth_url or account.endpoints.image or "")
        if url.scheme == "http" and not is_loopback(url.hostname or ""):
            raise Misconfigured(
                f"{self.config}: clouds.{cloud}: the secrets of {self.secure} would go to {url.hostname} unencrypted, "
                "which a file in another folder names: use https, or name both in OS_CLIENT_CONFIG_FILE and "
                "OS_CLIENT_SECURE_FILE"
            )


def list_folders(values: Values) -> tuple[Path, ...]:
    """List where clouds.yaml is looked for, first place first: here, the user's settings, the system's."""
    home = values.get("HOME")
    user = values.get("XDG_CONFIG_HOME") or (f"{home}/.config" if home else None)
    return (Path.cwd(), *([Path(user) / "openstack"] if user else []), Path("/etc/openstack"))


def find_file(values: Values, variable: str | None, stem: str, folders: Iterable[Path]) -> Path | None:
    """Find the file that a variable names, else the first readable `stem` with a suffix of YAML or JSON."""
    if variable and (named := values.get(variable)):
        return Path(named)
    places = (folder / f"{stem}{suffix}" for folder in folders for suffix in SUFFIXES)
    return next((place for place in places if place.is_file()), None)


def name_entries(environ: Mapping[str, str]) -> str:
    """Say, for a message, which entries the clouds.yaml in sight has; nothing where there is none to be read."""
    values = Values(environ)
    file = find_file(values, "OS_CLIENT_CONFIG_FILE", "clouds", list_folders(values))
    try:
        entries = find_clouds(parse(read_text(file), file=str(file))) if file else {}
    except Misconfigured:
        entries = {}
    return f". {file} has the entries {visible(', '.join(map(str, entries)))}: set OS_CLOUD" if entries else ""


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
        return as_utf8(path.read_bytes()).decode()
    except OSError as error:
        raise Misconfigured(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise Misconfigured(f"{path} is not UTF-8: save it as UTF-8") from error
