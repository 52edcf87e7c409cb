"""The stand-in for Keystone: who gets a token for what, and how it says no."""

from doorman.sandbox.state import Cloud
from tests.builders import FakeClock, password_login
from tests.sandbox.asking import ME, OWNER, Api

REFUSED = {
    "error": {"code": 401, "message": "The request you have made requires authentication.", "title": "Unauthorized"}
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
    assert (token["project"]["id"], token["issued_at"]) == (ME, "2026-01-02T03:04:05.000000Z")
    assert token["expires_at"] == "2026-01-03T03:04:05.000000Z"
    assert endpoints == {
        "identity": "http://cloud.test/identity/v3",
        "image": "http://cloud.test",
        "cbr": "http://cloud.test/v3",
        "compute": f"http://cloud.test/v2.1/{ME}",
        "smn": f"http://cloud.test/v2/{ME}",
        "functiongraph": f"http://cloud.test/v2/{ME}",
    }


def test_secrets_stay_out_of_the_call_log(anonymous: Api, cloud: Cloud) -> None:
    """A login leaves who and where in the log, and nothing of its body."""
    anonymous("POST", "/v3/auth/tokens", json=password_login())
    (call,) = cloud.calls
    assert (call.user, call.project_id, call.status, call.body) == ("doorman", ME, 201, None)
    assert "secret" not in repr(cloud.directory.users) + repr(call)


def test_domain_by_id(anonymous: Api) -> None:
    """A user's domain can be given by ID."""
    login = password_login()
    login["auth"]["identity"]["password"]["user"]["domain"] = {"id": "default"}
    assert anonymous("POST", "/v3/auth/tokens", json=login).status_code == 201


def test_token_for_another_project(api: Api, cloud: Cloud) -> None:
    """A token can be traded for one of another project where the user has a role."""
    user = cloud.directory.named("doorman", "Default")
    assert user is not None
    user.roles[OWNER] = {"member"}
    identity = {"methods": ["token"], "token": {"id": api.headers["X-Auth-Token"]}}
    answer = api("POST", "/v3/auth/tokens", json={"auth": {"identity": identity, "scope": {"project": {"id": OWNER}}}})
    assert answer.json()["token"]["project"]["id"] == OWNER


def test_expiry(api: Api, clock: FakeClock) -> None:
    """A token ends when it said."""
    clock.seconds += 86_399
    assert api("GET", "/v2/images").status_code == 200
    clock.seconds += 1
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
