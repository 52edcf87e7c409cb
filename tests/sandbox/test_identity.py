"""The stand-in for Keystone: who gets a token for what, and how it says no."""

from typing import Any

import pytest

from doorman.sandbox.state import Cloud
from tests.sandbox.asking import ME, OWNER, Api, HandClock, password_login

REFUSED = {
    "error": {
        "code": 401,
        "message": "The request you have made requires authentication.",
        "title": "Unauthorized",
    }
}


def test_password_login(anonymous: Api) -> None:
    """A login gives a token in the header, and in the body its end and a catalog for the host that was asked."""
    answer = anonymous("POST", "/identity/v3/auth/tokens", json=password_login())
    token = answer.json()["token"]
    endpoints = {
        entry["type"]: endpoint["url"]
        for entry in token["catalog"]
        for endpoint in entry["endpoints"]
        if endpoint["interface"] == "public"
    }
    assert (answer.status_code, answer.headers["x-subject-token"][:6]) == (201, "gAAAAA")
    assert (token["project"]["id"], token["issued_at"]) == (ME, "2023-11-14T22:13:20.000000Z")
    assert token["expires_at"] == "2023-11-15T22:13:20.000000Z"
    assert endpoints == {
        "identity": "http://cloud.test/identity/v3",
        "image": "http://cloud.test",
        "cbr": "http://cloud.test/v3",
        "compute": f"http://cloud.test/v2.1/{ME}",
        "smn": f"http://cloud.test/v2/{ME}",
        "functiongraph": f"http://cloud.test/v2/{ME}",
    }


@pytest.mark.parametrize(
    "login",
    [
        password_login(password="wrong"),
        password_login(user="nobody"),
        password_login(project="nowhere"),
        password_login(project=OWNER),
    ],
    ids=["password", "user", "project", "role"],
)
def test_every_refusal_looks_the_same(anonymous: Api, login: dict[str, Any]) -> None:
    """A wrong password, an unknown user, an unknown project and a missing role are one 401."""
    answer = anonymous("POST", "/v3/auth/tokens", json=login)
    assert (answer.status_code, answer.json()) == (401, REFUSED)


@pytest.mark.parametrize(
    "login",
    [{}, {"auth": {}}, {"auth": {"identity": {"methods": ["password"]}}}, {"auth": {"identity": {"methods": "x"}}}],
)
def test_malformed_logins(anonymous: Api, login: dict[str, Any]) -> None:
    """What is no login at all is a 400."""
    assert anonymous("POST", "/v3/auth/tokens", json=login).status_code == 400


def test_secrets_stay_out_of_the_call_log(anonymous: Api, cloud: Cloud) -> None:
    """A login leaves who and where in the log, and nothing of its body."""
    anonymous("POST", "/v3/auth/tokens", json=password_login())
    (call,) = cloud.calls
    assert (call.user, call.project_id, call.status, call.body) == ("doorman", ME, 201, None)
    assert "secret" not in repr(cloud.directory.users) + repr(call)


@pytest.mark.parametrize(
    ("scope", "status"),
    [
        ({"project": {"name": "Production"}}, 201),
        ({"project": {"name": "Production", "domain": {"name": "Default"}}}, 201),
        ({"project": {"name": "Production", "domain": {"id": "default"}}}, 201),
        ({"project": {"name": "Production", "domain": {"name": "Elsewhere"}}}, 401),
        ({"project": {"name": "Nothing"}}, 401),
    ],
)
def test_projects_by_name(anonymous: Api, cloud: Cloud, scope: dict[str, Any], status: int) -> None:
    """A project can be named, with or without its domain."""
    cloud.add_project(ME, name="Production")
    login = password_login()
    login["auth"]["scope"] = scope
    assert anonymous("POST", "/v3/auth/tokens", json=login).status_code == status


def test_domain_by_id(anonymous: Api) -> None:
    """A user's domain can be given by ID."""
    login = password_login()
    login["auth"]["identity"]["password"]["user"]["domain"] = {"id": "default"}
    assert anonymous("POST", "/v3/auth/tokens", json=login).status_code == 201


def test_application_credential(anonymous: Api, cloud: Cloud) -> None:
    """An application credential brings its own project."""
    user = cloud.directory.named("doorman", "Default")
    assert user is not None
    credential = cloud.add_application_credential(user, ME, "shh")
    answers = []
    for secret in ("shh", "wrong"):
        identity = {
            "methods": ["application_credential"],
            "application_credential": {"id": credential.id, "secret": secret},
        }
        answers.append(anonymous("POST", "/v3/auth/tokens", json={"auth": {"identity": identity}}))
    assert [answer.status_code for answer in answers] == [201, 401]
    assert answers[0].json()["token"]["project"]["id"] == ME


def test_agency(anonymous: Api, cloud: Cloud, api: Api) -> None:
    """Who has a token can assume a role, by the name that the reference gives or the one that its example gives."""
    cloud.add_agency("Customer", "doorman-agency", [OWNER])

    def assume(by: Api, **role: str) -> int:
        auth = {
            "identity": {"methods": ["assume_role"], "assume_role": {"domain_name": "Customer", **role}},
            "scope": {"project": {"id": OWNER}},
        }
        answer = by("POST", "/v3/auth/tokens", json={"auth": auth})
        return int(answer.status_code)

    assert [
        assume(api, xrole_name="doorman-agency"),
        assume(api, agency_name="doorman-agency"),
        assume(api, xrole_name="other"),
        assume(anonymous, xrole_name="doorman-agency"),
    ] == [201, 201, 401, 401]


def test_token_for_another_project(api: Api, cloud: Cloud) -> None:
    """A token can be traded for one of another project where the user has a role."""
    user = cloud.directory.named("doorman", "Default")
    assert user is not None
    user.roles[OWNER] = {"member"}
    identity = {"methods": ["token"], "token": {"id": api.headers["X-Auth-Token"]}}
    answer = api("POST", "/v3/auth/tokens", json={"auth": {"identity": identity, "scope": {"project": {"id": OWNER}}}})
    assert answer.json()["token"]["project"]["id"] == OWNER


def test_expiry(api: Api, clock: HandClock) -> None:
    """A token ends when it said."""
    clock.now += 86_399
    assert api("GET", "/v2/images").status_code == 200
    clock.now += 1
    assert (api("GET", "/v2/images").status_code, api("GET", "/v2/cloudimages").json()) == (401, REFUSED)


def test_keystone_down(api: Api, cloud: Cloud) -> None:
    """While Keystone is down logins get 503, and the image service answers 401 to good tokens."""
    cloud.settings.keystone_down = True
    assert api("POST", "/v3/auth/tokens", json=password_login()).status_code == 503
    assert api("GET", "/v2/cloudimages").status_code == 401
    cloud.settings.keystone_down = False
    assert api("GET", "/v2/cloudimages").status_code == 200


def test_tokens_can_be_shown_and_revoked(api: Api) -> None:
    """Validation shows the token, an unknown one is 404, a revoked one no longer works."""
    mine = {"X-Subject-Token": api.headers["X-Auth-Token"]}
    assert api("GET", "/v3/auth/tokens", headers=mine).json()["token"]["user"]["name"] == "doorman"
    assert api("GET", "/v3/auth/tokens", headers={"X-Subject-Token": "x"}).status_code == 404
    assert api("DELETE", "/v3/auth/tokens", headers=mine).status_code == 204
    assert api("GET", "/v2/images").status_code == 401


def test_projects_of_a_user(api: Api) -> None:
    """A user sees the projects where they have a role, by name if they like."""
    assert [p["id"] for p in api("GET", "/v3/auth/projects").json()["projects"]] == [ME]
    assert api("GET", "/v3/projects", params={"name": "other"}).json()["projects"] == []


def test_discovery(anonymous: Api) -> None:
    """Clients find the version below the address that they were given."""
    assert anonymous("GET", "/identity").json()["versions"]["values"][0]["id"] == "v3.14"
    assert anonymous("GET", "/identity/v3").json()["version"]["links"][0]["href"] == "http://cloud.test/identity/v3/"
    assert anonymous("GET", "/").json()["versions"][0]["status"] == "CURRENT"
