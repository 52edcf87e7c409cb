"""Who may log in where: projects, users, application credentials, access keys, agencies and tokens; knows no HTTP."""

from collections.abc import Callable
from typing import Any

from doorman.sandbox.problems import keystone, unauthorized
from doorman.sandbox.records import AccessKey, ApplicationCredential, Caller, Project, Token, User, new_id
from doorman.sandbox.settings import Settings


def domain_matches(named: Any, domain: str) -> bool:
    """Compare a domain as requests name it with one of ours, whose ID is its name in lower case."""
    return isinstance(named, dict) and (named.get("name") == domain or named.get("id") == domain.lower())


class Directory:
    """Everything Keystone knows. All refusals look the same, so that nobody learns which part was wrong."""

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        self.settings = settings
        self.clock = clock
        self.projects: dict[str, Project] = {}
        self.users: dict[str, User] = {}
        self.application_credentials: dict[str, ApplicationCredential] = {}
        self.access_keys: dict[str, AccessKey] = {}
        self.agencies: dict[tuple[str, str], User] = {}
        self.tokens: dict[str, Token] = {}

    def login(self, auth: dict[str, Any], subject: str | None = None) -> Token:
        """Issue a token for the body of `POST /v3/auth/tokens`; `subject` is the X-Auth-Token sent with it.

        Raises:
            Problem: 400 for a malformed body, 404 for an unknown application credential, 401 in every other case.
        """
        identity = auth.get("identity")
        if not isinstance(identity, dict) or not isinstance(identity.get("methods"), list):
            raise keystone(400, "Bad Request", "Expecting to find identity in auth.")
        methods = [m for m in identity["methods"] if isinstance(m, str)]
        for method in methods:
            details = identity.get(method)
            if not isinstance(details, dict):
                raise keystone(400, "Bad Request", f"Expecting to find {method} in identity.")
            user, project_id = self._prove(method, details, subject)
            if project_id is None:
                project_id = self._scope(auth.get("scope"), user)
            return self.issue(user, project_id, tuple(methods))
        raise unauthorized()

    def issue(self, user: User, project_id: str | None, methods: tuple[str, ...]) -> Token:
        """Issue a token, without asking for any proof."""
        now = self.clock()
        token = Token(
            id="gAAAAA" + new_id() + new_id(),
            user=user,
            project_id=project_id,
            issued_at=now,
            expires_at=now + self.settings.token_seconds,
            roles=frozenset(user.roles.get(project_id or "", ())),
            methods=methods,
        )
        self.tokens[token.id] = token
        return token

    def lend(self, user: User, project_id: str) -> AccessKey:
        """Make temporary keys, as an agency lends them."""
        key = AccessKey(
            access=new_id().upper(), secret=new_id(), user=user, project_id=project_id, security_token=new_id()
        )
        self.access_keys[key.access] = key
        return key

    def caller(self, token_id: str | None) -> Caller:
        """Say who holds a project-scoped token.

        Raises:
            Problem: 401 where it is missing, unknown, expired or unscoped.
        """
        token = self.token(token_id)
        if token.project_id is None:
            raise unauthorized()
        return Caller(token.user.name, token.project_id, token.roles)

    def token(self, token_id: str | None) -> Token:
        """Look up a token.

        Raises:
            Problem: 401 where it is missing, unknown or expired.
        """
        token = self.tokens.get(token_id or "")
        if token is None or token.expires_at <= self.clock() or self.settings.keystone_down:
            raise unauthorized()
        return token

    def named(self, name: str, domain: str) -> User | None:
        """Find a user by name and domain."""
        return next((u for u in self.users.values() if u.name == name and u.domain == domain), None)

    def _prove(self, method: str, details: dict[str, Any], subject: str | None) -> tuple[User, str | None]:
        """Find the user whom the credentials prove, and the project where they name one by themselves."""
        if method == "password":
            return self._by_password(details.get("user")), None
        if method == "application_credential":
            credential = self.application_credentials.get(str(details.get("id")))
            if credential is None:
                raise keystone(404, "Not Found", f"Could not find Application Credential: {details.get('id')}.")
            if credential.secret != details.get("secret"):
                raise unauthorized()
            return credential.user, credential.project_id
        if method == "token":
            return self.token(details.get("id")).user, None
        if method in {"assume_role", "hw_assume_role"}:
            self.token(subject)
            name = details.get("xrole_name") or details.get("agency_name")
            agent = self.agencies.get((str(details.get("domain_name")), str(name)))
            if agent is not None:
                return agent, None
        raise unauthorized()

    def _by_password(self, named: Any) -> User:
        if not isinstance(named, dict):
            raise keystone(400, "Bad Request", "Expecting to find user in password.")
        if "id" in named:
            user = self.users.get(str(named["id"]))
        else:
            user = next(
                (
                    u
                    for u in self.users.values()
                    if u.name == named.get("name") and domain_matches(named.get("domain"), u.domain)
                ),
                None,
            )
        if user is None or user.password != named.get("password"):
            raise unauthorized()
        if user.is_expired:
            text = f"The password is expired and needs to be changed for user: {user.id}."
            raise keystone(401, "Unauthorized", text)
        return user

    def _scope(self, scope: Any, user: User) -> str | None:
        """Find the project that a login asks for; None for an unscoped one.

        A name without its domain is looked up in the user's own domain, as T Cloud Public does.
        """
        if not isinstance(scope, dict) or "project" not in scope:
            return None
        named = scope["project"] if isinstance(scope["project"], dict) else {}
        for project in self.projects.values():
            by_name = project.name == named.get("name") and (
                domain_matches(named["domain"], project.domain) if "domain" in named else project.domain == user.domain
            )
            if (project.id == named.get("id") or by_name) and project.enabled and user.roles.get(project.id):
                return project.id
        raise unauthorized()
