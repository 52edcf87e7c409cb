"""The nouns of credentials: who we are (`Password`, `Keys`, ...) to which project (`Account`).

Frozen values; nothing here reads a file or talks to anybody, and no secret shows in a repr.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """A Keystone domain, by ID or by name; on T Cloud Public and Huawei Cloud: the account."""

    id: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Password:
    """A user, by ID or by name within a domain, and the password."""

    user_id: str | None = None
    user_name: str | None = None
    domain: Domain | None = None
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationCredential:
    """A key that a user made for one project; it brings its own scope."""

    id: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """An access key (AK) with its secret key (SK); temporary keys come with a security token."""

    access: str
    secret: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """A login of any other kind, resolved by openstacksdk and made by keystoneauth1.

    Attributes:
        plugin: keystoneauth1's identity plugin; it holds secrets.
        kind: its `auth_type`, for messages.
        certificate: the client's own, with its key.
        is_renewable: False for a token or code that ends and cannot be had again.
    """

    plugin: Any = field(repr=False)
    kind: str
    certificate: tuple[str, str | None] | None = None
    is_renewable: bool = True


Login = Password | ApplicationCredential | Keys | Plugin


@dataclass(frozen=True, slots=True, kw_only=True)
class HandOver:
    """What our own reader does not know to the letter, and so leaves whole to openstacksdk.

    Attributes:
        entry: as clouds.yaml has it, secrets included.
        key: what made it so, as its source spells it.
        spell: how the source spells a key of the entry, such as `auth.username`.
        vendor_files: files of vendor profiles (clouds-public.yaml).
        fallbacks: `OS_*` values where the entry does not say.
    """

    entry: Mapping[str, Any] = field(repr=False)
    key: str
    spell: Callable[[str], str]
    vendor_files: tuple[str, ...] = ()
    fallbacks: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agency:
    """A role that another account lends to ours ("assume role"); `domain` is the lender."""

    name: str
    domain: Domain


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A served project, by ID or by name within a domain; neither: the one that an application credential is for."""

    id: str | None = None
    name: str | None = None
    domain: Domain | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """Base URLs that replace the catalog's, each None where the catalog decides."""

    image: str | None = None
    cbr: str | None = None
    compute: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Everything that one served project's credentials are made of.

    Attributes:
        login: None where a token comes with each call.
        auth_url: Keystone's URL up to and with `/v3`; None with AK/SK, which needs no login.
        region: region of the endpoints; None where the catalog has just one.
        interface: `public`, `internal` or `admin`.
        entry: name of the clouds.yaml entry that it comes from; None for the environment.
        ca_file: extra certificate authorities that the entry names (PEM).
    """

    project: Project
    login: Login | None
    auth_url: str | None = None
    agency: Agency | None = None
    region: str | None = None
    interface: str = "public"
    endpoints: Endpoints = field(default_factory=Endpoints)
    entry: str | None = None
    ca_file: str | None = None

    def spell(self, place: str) -> str:
        """Say where one of its values stands: at `place` in its clouds.yaml entry, or in a variable."""
        return f"clouds.{self.entry}.{place}" if self.entry else f"OS_{place.rpartition('.')[2].upper()}"
