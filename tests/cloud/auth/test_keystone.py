"""What the logins of agencies send (`test_logins_differential` holds the others), and how each answer is read."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorman.cloud.auth.accounts import Account, Agency, ApplicationCredential, Domain, Password, Project
from doorman.cloud.auth.catalog import Endpoint, Entry
from doorman.cloud.auth.keystone import LoginRefused, Token, agency_body, login_body, read_token
from doorman.errors import Unavailable

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
URL = "https://iam.test/v3/auth/tokens"
USER = Password(user_name="doorman", domain=Domain(name="OTC1"), secret="s3cret")
ANSWER = {
    "token": {
        "issued_at": "2026-01-02T03:00:00.000000Z",
        "expires_at": "2026-01-03T03:00:00.000000Z",
        "project": {"id": "p1", "name": "eu-de", "domain": {"id": "d1"}},
        "catalog": [{"type": "image", "id": "x", "endpoints": [{"url": "https://ims.test", "interface": "public"}]}],
        "roles": [{"name": "te_admin"}],
    }
}


def account(project: Project, **more: Any) -> Account:
    """An account of the user, for one project."""
    values: dict[str, Any] = {"login": USER, "auth_url": "https://iam.test/v3"} | more
    return Account(project=project, **values)


def read(status: int, body: object = ANSWER, **headers: str) -> Token:
    """Read an answer with a token unless the headers say otherwise."""
    named = {"X-Subject-Token": "t0ken"} | {name.replace("_", "-"): value for name, value in headers.items()}
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_token(status, httpx.Headers(named), content, account=account(Project(id="p1")), now=NOW)


@pytest.mark.parametrize(
    ("told", "name"),
    [({"id": "u1", "name": "jane"}, "jane"), ({"id": "u1"}, None), ({"name": ""}, None), ("jane", None)],
)
def test_the_token_says_who_logged_in(told: object, name: str | None) -> None:
    """Keystone's own word for the user; a strange one costs the name, not the login."""
    assert read(201, {"token": {**ANSWER["token"], "user": told}}).user == name


def test_agency_takes_two_steps() -> None:
    """First a token within our own domain, then the lender's role on the served project."""
    agency = Agency(name="doorman", domain=Domain(name="OTC2"))
    project = Project(id="p2")
    assert login_body(account(project, agency=agency))["auth"]["scope"] == {"domain": {"name": "OTC1"}}
    assert agency_body(agency, project) == {
        "auth": {
            "identity": {"methods": ["assume_role"], "assume_role": {"domain_name": "OTC2", "xrole_name": "doorman"}},
            "scope": {"project": {"id": "p2"}},
        }
    }
    by_id = agency_body(Agency(name="doorman", domain=Domain(id="d2")), project)
    assert by_id["auth"]["identity"]["assume_role"] == {"domain_id": "d2", "xrole_name": "doorman"}


def test_token_is_read() -> None:
    """The header's token, its life, its project, roles and the catalog are kept; nothing else is."""
    endpoint = Endpoint(url="https://ims.test", interface="public")
    assert read(201) == Token(
        value="t0ken",
        life=timedelta(days=1),
        project_id="p1",
        catalog=(Entry(type="image", endpoints=(endpoint,)),),
        project_name="eu-de",
        roles=("te_admin",),
    )


def test_life_counts_from_now_where_no_issue_is_told() -> None:
    """Without `issued_at` our own clock has to do; a domain's token has no project."""
    for expires in ("2026-01-02T04:04:05Z", "2026-01-02T04:04:05.000000Z", "2026-01-02T04:04:05+00:00"):
        for issued in (None, "", "2026-01-02T03:04:05", "soon"):
            assert read(201, {"token": {"expires_at": expires, "issued_at": issued, "catalog": {}}}) == Token(
                value="t0ken", life=timedelta(hours=1), project_id=None
            )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>It works</html>",
        b'{"token": {"expires_at": "2026-01-02T04',
        b"[]",
        b"{}",
        b'{"token": {}}',
        b'{"token": {"expires_at": "soon"}}',
        b"\xff\xfe",
    ],
)
def test_half_an_answer_is_no_token(body: bytes) -> None:
    """HTML, half a body or missing fields are a passing failure with one clear line."""
    with pytest.raises(Unavailable, match=f"^{URL} answered 201, but not as Keystone does: check OS_AUTH_URL$"):
        read(201, body)


@pytest.mark.parametrize("value", ["", "tök", "a\x7f"])
def test_token_must_fit_into_a_header(value: str) -> None:
    """A missing token, or one that no header could carry, is no token; an entry's key is named as it stands."""
    with pytest.raises(Unavailable, match=r"not as Keystone does: check clouds\.it\.auth\.auth_url$"):
        read_token(
            201,
            {"X-Subject-Token": value},
            json.dumps(ANSWER).encode(),
            account=account(Project(id="p1"), entry="it"),
            now=NOW,
        )


@pytest.mark.parametrize("status", [400, 401, 403])
def test_refusal_names_what_to_check(status: int) -> None:
    """Keystone's word is not repeated; the line says what to look at."""
    with pytest.raises(LoginRefused) as caught:
        read(status, {"error": {"message": "the password s3cret is wrong"}})
    assert str(caught.value) == (
        f"login refused by Keystone at {URL} ({status}): check OS_USERNAME, OS_PASSWORD, the project and its role"
    )


@pytest.mark.parametrize(
    ("status", "more", "suspects"),
    [
        (401, {"agency": Agency(name="x", domain=Domain(name="y"))}, "the agency and its rights in the project"),
        (401, {"login": ApplicationCredential(id="ac1", secret="x")}, "its secret and whether it has expired"),
        (
            401,
            {"entry": "it", "project": Project(name="p")},
            r"clouds\.it\.auth\.username, clouds\.it\.auth\.password, the project p and its role",
        ),
        (404, {"login": ApplicationCredential(id="ac1", secret="x")}, "its secret and whether it has expired"),
    ],
)
def test_refusal_fits_the_login(status: int, more: dict[str, Any], suspects: str) -> None:
    """An agency and an application credential have suspects of their own; an unknown one of the latter is a 404."""
    with pytest.raises(LoginRefused, match=rf" \({status}\): check .*{suspects}$"):
        read_token(status, {}, b"", account=account(**{"project": Project(id="p1"), **more}), now=NOW)


@pytest.mark.parametrize(
    ("status", "headers", "message", "retry_after"),
    [
        (404, {}, f"no Keystone v3 at {URL} (404): check OS_AUTH_URL", None),
        (503, {}, f"Keystone at {URL} answered 503", None),
        (503, {"Retry_After": "7"}, f"Keystone at {URL} answered 503", 7.0),
        (200, {}, f"Keystone at {URL} answered 200", None),
        (302, {"Retry_After": "soon"}, f"Keystone at {URL} answered 302", None),
    ],
)
def test_outage_is_passing(status: int, headers: dict[str, str], message: str, retry_after: float | None) -> None:
    """Anything else is Keystone's trouble: worth another try, after the time that it asks for."""
    with pytest.raises(Unavailable) as caught:
        read(status, **headers)
    assert (type(caught.value), str(caught.value), caught.value.retry_after) == (Unavailable, message, retry_after)


@given(status=st.integers(100, 599), body=st.binary(max_size=60), token=st.text(max_size=5))
def test_any_answer_is_a_token_or_unavailable(status: int, body: bytes, token: str) -> None:
    """Whatever answers, nothing but a token or `Unavailable` comes out."""
    with pytest.raises(Unavailable):
        read_token(status, {"X-Subject-Token": token, "Retry-After": token}, body, account=account(Project()), now=NOW)


def test_secrets_have_no_repr() -> None:
    """Neither a password nor a token shows when it is printed."""
    assert "s3cret" not in repr(account(Project(id="p1")))
    assert "t0ken" not in repr(read(201))


@pytest.mark.parametrize(
    ("told", "roles", "rules"),
    [
        ({"roles": [{"name": "member"}, {"name": ""}, "x"]}, ("member",), None),
        ({"roles": "member", "application_credential": "x"}, (), None),
        ({"application_credential": {"access_rules": []}}, ("te_admin",), None),
        (
            {"application_credential": {"access_rules": [{"method": "GET", "path": "/v2/images", "id": "1"}]}},
            ("te_admin",),
            (("GET", "/v2/images"),),
        ),
    ],
)
def test_the_token_says_what_it_is_good_for(
    told: dict[str, Any], roles: tuple[str, ...], rules: tuple[tuple[str, str], ...] | None
) -> None:
    """Roles, and the access rules of an application credential; strange ones cost nothing."""
    token = read(201, {"token": {**ANSWER["token"], **told}})
    assert (token.roles, token.rules) == (roles, rules)


def test_an_expired_password_is_told() -> None:
    """The one reason that Keystone gives; no other word of its answer is repeated."""
    with pytest.raises(LoginRefused, match=r"\(401\): the password has expired, change it$"):
        read(401, b'{"error": {"message": "The password is expired and needs to be changed for user: u1."}}')
