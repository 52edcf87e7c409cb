"""Keystone v3 without I/O: what a login sends, and how its answer is read into a `Token` or an error.

See https://docs.openstack.org/api-ref/identity/v3/#password-authentication-with-scoped-authorization
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypeVar

from pydantic import AliasPath, Field, OnErrorOmit, ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from doorman.cloud.auth.accounts import Account, Agency, ApplicationCredential, Domain, Password, Project
from doorman.cloud.auth.catalog import Catalog, Entry, Foreign
from doorman.errors import Unavailable
from doorman.parsing import read_retry_after

CREATED = 201
REFUSALS = {400, 401, 403}
NOT_FOUND = 404


class LoginRefused(Unavailable):
    """Keystone is there, but does not let these credentials into this project; others may fare better."""


class PasswordExpired(LoginRefused):
    """The one reason for a refusal that Keystone tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token as Keystone gave it.

    Attributes:
        value: goes into `X-Auth-Token`; never shown.
        life: how long it lives from its issue on, by Keystone's own clock.
        project_id: the project it is scoped to, with its name; None for a domain.
        user: the name of who logged in; None where Keystone does not say.
        roles: names of the roles in the project. rules: method and path of each access rule of an application
            credential; None where it has none.
    """

    value: str = field(repr=False)
    life: timedelta
    project_id: str | None
    catalog: tuple[Entry, ...] = ()
    user: str | None = None
    project_name: str | None = None
    roles: tuple[str, ...] = ()
    rules: tuple[tuple[str, str], ...] | None = None


def read_or_none(value: Any, read: ValidatorFunctionWrapHandler) -> Any:
    """Read a value; None where it is none of its kind."""
    try:
        return read(value)
    except ValidationError:
        return None


def at(*place: str) -> Any:
    """Say where in an answer's `token` a field stands; None where it is missing."""
    return Field(default=None, validation_alias=AliasPath("token", *place))


T = TypeVar("T")
Text = Annotated[str, Field(min_length=1)]
Shown = Annotated[T | None, WrapValidator(read_or_none)]
"""A field that is only shown must not make the login fail."""


class Role(Foreign):
    """A role in the project."""

    name: Text


class Rule(Foreign):
    """An access rule of an application credential."""

    method: str
    path: str


class LoginAnswer(Foreign):
    """The body of a login's answer, as far as we use it."""

    expires_at: datetime = Field(validation_alias=AliasPath("token", "expires_at"))
    issued_at: Shown[datetime] = at("issued_at")
    project_id: str | None = at("project", "id")
    project_name: Shown[Text] = at("project", "name")
    catalog: Catalog | None = at("catalog")
    user: Shown[Text] = at("user", "name")
    roles: Shown[tuple[OnErrorOmit[Role], ...]] = at("roles")
    rules: Shown[tuple[OnErrorOmit[Rule], ...]] = at("application_credential", "access_rules")


def tokens_url(account: Account) -> str:
    """Give the URL that logins are POSTed to."""
    return f"{account.auth_url}/auth/tokens"


def login_body(account: Account) -> dict[str, Any]:
    """Write the login of an account without AK/SK; with an agency: the first of two steps, into our own domain."""
    if isinstance(account.login, ApplicationCredential):
        # No scope: an application credential brings its own, and Keystone refuses to be asked for one.
        secret = {"id": account.login.id, "secret": account.login.secret}
        return {"auth": {"identity": {"methods": ["application_credential"], "application_credential": secret}}}
    assert isinstance(account.login, Password)  # noqa: S101 - AK/SK accounts sign and never come here
    identity = {"methods": ["password"], "password": {"user": write_user(account.login)}}
    own = {"domain": write_domain(account.login.domain or Domain())}
    return {"auth": {"identity": identity, "scope": own if account.agency else write_scope(account.project)}}


def agency_body(agency: Agency, project: Project) -> dict[str, Any]:
    """Write the second step: with a token of our own, take on the role that another account lends us.

    See https://docs.otc.t-systems.com/identity-access-management/api-ref/ (its example, and the vendor's Go SDK, send
    `xrole_name` where its table says `agency_name`).
    """
    lender = {f"domain_{key}": value for key, value in write_domain(agency.domain).items()}
    identity = {"methods": ["assume_role"], "assume_role": {**lender, "xrole_name": agency.name}}
    return {"auth": {"identity": identity, "scope": write_scope(project)}}


def write_user(login: Password) -> dict[str, Any]:
    """Write a user: an ID stands alone, a name needs its domain."""
    if login.user_id:
        return {"id": login.user_id, "password": login.secret}
    return {"name": login.user_name, "domain": write_domain(login.domain or Domain()), "password": login.secret}


def write_domain(domain: Domain) -> dict[str, str]:
    """Write a domain by ID where it is known, else by name."""
    return {"id": domain.id} if domain.id else {"name": domain.name or ""}


def write_scope(project: Project) -> dict[str, Any]:
    """Write the scope of a token: one project."""
    if project.id:
        return {"project": {"id": project.id}}
    return {"project": {"name": project.name, "domain": write_domain(project.domain or Domain())}}


def read_token(status: int, headers: Mapping[str, str], body: bytes, *, account: Account, now: datetime) -> Token:
    """Read the answer to a login of `account`.

    Args:
        headers: by case-insensitive name. now: for answers without `issued_at`.

    Raises:
        LoginRefused: these credentials do not open this project.
        Unavailable: Keystone is down, throttles us, or this is not Keystone.
    """
    if status != CREATED:
        raise read_refusal(status, headers, account=account, body=body)
    value = headers.get("X-Subject-Token", "")
    try:
        answer = LoginAnswer.model_validate_json(body)
    except ValidationError:
        answer = None
    if answer is None or not value or not value.isascii() or not value.isprintable():
        url_place = account.spell("auth.auth_url")
        raise Unavailable(f"{tokens_url(account)} answered {status}, but not as Keystone does: check {url_place}")
    return Token(
        value=value,
        life=in_utc(answer.expires_at) - in_utc(answer.issued_at or now),
        project_id=answer.project_id,
        catalog=answer.catalog or (),
        user=answer.user,
        project_name=answer.project_name,
        roles=tuple(role.name for role in answer.roles or ()),
        rules=tuple((rule.method, rule.path) for rule in answer.rules or ()) or None,
    )


def in_utc(moment: datetime) -> datetime:
    """Take a time without a zone as UTC."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def read_refusal(status: int, headers: Mapping[str, str], *, account: Account, body: bytes = b"") -> Unavailable:
    """Put an answer other than 201 into one line; its body is never repeated, as it may repeat what we sent."""
    url = tokens_url(account)
    if status in REFUSALS and b"password is expired" in body:
        return PasswordExpired(f"login refused by Keystone at {url} ({status}): the password has expired, change it")
    # To an application credential that it does not know, Keystone says 404.
    is_unknown = status == NOT_FOUND and isinstance(account.login, ApplicationCredential)
    if status in REFUSALS or is_unknown:
        return LoginRefused(f"login refused by Keystone at {url} ({status}): check {name_suspects(account)}")
    if status == NOT_FOUND:
        return Unavailable(f"no Keystone v3 at {url} (404): check {account.spell('auth.auth_url')}")
    return Unavailable(f"Keystone at {url} answered {status}", retry_after=read_retry_after(headers))


def name_suspects(account: Account) -> str:
    """Name what may be wrong with a login that was refused; Keystone does not tell."""
    names = ("username", "password", "auth_url", "application_credential_id")
    user, password, url, key = (account.spell(f"auth.{name}") for name in names)
    if isinstance(account.login, ApplicationCredential):
        return f"{url}, {key}, its secret and whether it has expired"
    project = f"the project {account.project.name}" if account.project.name else "the project"
    target = f"the agency and its rights in {project}" if account.agency else f"{project} and its role"
    return f"{user}, {password}, {target}"
