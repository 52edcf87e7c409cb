"""Reads the environment's `OS_*` variables into an `Identity`: who we are, or where that stands. Reads no file."""

from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Self, cast

from doorman.cloud.auth.accounts import Account, Endpoints, HandOver
from doorman.cloud.auth.logins import (
    LOGIN,
    PROJECT_IDS,
    READERS,
    TYPE,
    check_ids,
    check_served,
    read_accounts,
    read_ca_file,
    read_endpoints,
)
from doorman.cloud.auth.variables import Values, gather
from doorman.errors import Misconfigured

# As Huawei's own tools have them.
HUAWEI = {
    "OS_ACCESS_KEY": "HW_ACCESS_KEY",
    "OS_SECRET_KEY": "HW_SECRET_KEY",
    "OS_SECURITY_TOKEN": "HW_SECURITY_TOKEN",
    "OS_REGION_NAME": "HW_REGION_NAME",
    "OS_PROJECT_ID": "HW_PROJECT_ID",
    "OS_AGENCY_NAME": "HW_ASSUME_ROLE_AGENCY_NAME",  # which keys cannot assume here, and is refused so
}
# Of a login that our own reader does not know, and what makes it another one after all.
HANDED = (
    ("OS_TRUST_ID",),
    ("OS_PASSCODE",),
    ("OS_CERT",),
    ("OS_KEY",),
    ("OS_APPLICATION_CREDENTIAL_NAME", "OS_APPLICATION_CREDENTIAL_ID"),
    ("OS_TOKEN", *TYPE, "OS_APPLICATION_CREDENTIAL_ID", "OS_USERNAME", "OS_USER_ID", "OS_ACCESS_KEY"),
)
NO_LOGIN = (
    "no login: set OS_CLOUD to an entry of clouds.yaml, or OS_AUTH_URL, OS_USERNAME, OS_PASSWORD, OS_USER_DOMAIN_NAME "
    "and OS_PROJECT_ID, or OS_ACCESS_KEY, OS_SECRET_KEY, OS_PROJECT_ID and OS_IMAGE_ENDPOINT_OVERRIDE"
)


class NoLogin(Misconfigured):
    """The environment does not say at all who we are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The identity part of the environment: ready accounts, or names of clouds.yaml entries still to be read.

    Attributes:
        accounts: one for each served project; empty where `clouds` names entries, or openstacksdk reads the login.
        handed: the login for openstacksdk; None where our own reader knows it.
        clouds: names of clouds.yaml entries, one served project each. values: what counts beside them.
        ca_file: extra certificate authorities for the cloud (PEM).
        endpoints: base URLs that replace the catalog's.
        region: region for event sources; None where nobody said.
        projects: IDs of the projects to serve with credentials that come with each call; empty where none may come.
    """

    accounts: tuple[Account, ...] = ()
    handed: HandOver | None = None
    clouds: tuple[str, ...] = ()
    values: Values = field(default=Values({}), repr=False, compare=False)
    ca_file: str | None = None
    endpoints: Endpoints = field(default_factory=Endpoints)
    region: str | None = None
    projects: tuple[str, ...] = ()

    @classmethod
    def from_environ(cls, environ: Mapping[str, str], *, login_required: bool = True) -> Self:
        """Read the `OS_*` variables, or the `HW_*` ones where they are the only login.

        Args:
            login_required: False where credentials may come with each call instead (FunctionGraph).

        Raises:
            NoLogin: no variable names a login.
            Misconfigured: variables are missing or wrong; the message names them.
        """
        interface = environ.get("OS_ENDPOINT_TYPE") or environ.get("OS_INTERFACE", "")
        known = ChainMap({"OS_INTERFACE": interface}, cast("dict[str, str]", environ))  # which is only read
        values = add_huawei(Values(known))
        clouds = values.listed("OS_CLOUD")
        has_login = not clouds and (login_required or values.get(*LOGIN) is not None)
        handed = hand_over(values) if has_login else None
        read = gather(
            accounts=lambda: read_accounts(values) if has_login and not handed else (),
            endpoints=partial(read_endpoints, values),
            projects=lambda: () if login_required else check_ids(values, values.listed(*PROJECT_IDS)),
            ca_file=partial(read_ca_file, values),
            values=partial(check_honoured, values, has_clouds=bool(clouds)),
        )
        return cls(handed=handed, clouds=clouds, region=values.get("OS_REGION_NAME"), **read)


def add_huawei(values: Values) -> Values:
    """Take the names of Huawei's tools where they are the only login; the services are where those tools find them."""
    keys = (HUAWEI["OS_ACCESS_KEY"], HUAWEI["OS_SECRET_KEY"])
    if values.get("OS_CLOUD", *LOGIN) or not values.get(*keys):
        return values
    region = values.get("OS_REGION_NAME", "HW_REGION_NAME")
    cloud = f"{region}.{values.get('HW_CLOUD') or 'myhuaweicloud.com'}"
    services = {
        "OS_IMAGE_ENDPOINT_OVERRIDE": f"https://ims.{cloud}",
        "OS_CBR_ENDPOINT_OVERRIDE": f"https://cbr.{cloud}",
        "OS_COMPUTE_ENDPOINT_OVERRIDE": f"https://ecs.{cloud}/v2.1/%(project_id)s",
    }
    below = {ours: value for ours, theirs in HUAWEI.items() if (value := values.get(theirs))}
    own = {name: value for name, value in values.values.items() if value.strip()}
    spelt = {**HUAWEI, "OS_IMAGE_ENDPOINT_OVERRIDE": "HW_REGION_NAME or OS_IMAGE_ENDPOINT_OVERRIDE"}
    return Values({**(services if region else {}), **below, **own}, spell=lambda name: spelt.get(name, name))


def hand_over(values: Values) -> HandOver | None:
    """Leave to openstacksdk a login that our own reader does not know; None where it does.

    Raises:
        NoLogin: there is none at all.
    """
    typed = [name for name in TYPE if values.get(name) and values.get(*TYPE) not in READERS]
    keys = typed + [name for name, *others in HANDED if values.get(name) and not values.get(*others)]
    if keys:
        named = ((name, value) for name, value in values.values.items() if name.startswith("OS_") and value.strip())
        entry = {name.removeprefix("OS_").lower(): value for name, value in named}
        return HandOver(entry=entry, key=keys[0], spell=spell)
    if not values.get(*LOGIN):
        raise NoLogin(NO_LOGIN)
    return None


def spell(place: str) -> str:
    """Name the variable that stands for a key of an entry."""
    return f"OS_{place.rpartition('.')[2].upper()}"


def check_honoured(values: Values, *, has_clouds: bool) -> Values:
    """Give `values` back where they hold nothing that somebody would expect us to honour and that we ignore.

    Raises:
        Misconfigured: certificates shall not be verified, or there is no project to serve.
    """
    keys = ("insecure", "verify") if has_clouds else ("insecure", "verify", "system_scope")
    check_served({key: values.get(spell(key)) for key in keys}, spell)
    if has_clouds and (name := next((name for name in ("OS_CERT", "OS_KEY") if values.get(name)), None)):
        raise Misconfigured(f"{name}: beside OS_CLOUD, name the client's certificate in the entry (cert and key)")
    return values
