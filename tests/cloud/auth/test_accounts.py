"""How `OS_*` variables become accounts, and what is said where they do not."""

from collections.abc import Mapping

import pytest

from doorman.cloud.auth.accounts import (
    Account,
    Agency,
    ApplicationCredential,
    Domain,
    Endpoints,
    Keys,
    Password,
    Project,
)
from doorman.cloud.auth.environ import Identity
from doorman.errors import Misconfigured
from tests.fake_keystone import CREDENTIAL, KEYS, PASSWORD

USER = Password(user_name="doorman", domain=Domain(name="OTC1"), secret="s3cret")


def accounts(*layers: Mapping[str, str]) -> tuple[Account, ...]:
    """Read the accounts of an environment laid together from parts."""
    return Identity.from_environ({name: value for layer in layers for name, value in layer.items()}).accounts


def account(*layers: Mapping[str, str]) -> Account:
    """Read the one account of an environment."""
    (only,) = accounts(*layers)
    return only


def test_password_serves_each_project() -> None:
    """Every project of the comma-separated list gets an account of its own, named twice or not."""
    found = accounts(PASSWORD, {"OS_PROJECT_ID": " p1, p2,,p1 ", "OS_REGION_NAME": "eu-de"})
    assert found == tuple(
        Account(project=Project(id=name), login=USER, auth_url="https://iam.test/v3", region="eu-de")
        for name in ("p1", "p2")
    )


def test_keys_need_no_keystone() -> None:
    """AK/SK takes a security token with it; its services are named."""
    assert account(KEYS, {"OS_SECURITY_TOKEN": "t0ken"}) == Account(
        project=Project(id="p1"),
        login=Keys(access="AK", secret="s3cret", token="t0ken"),
        endpoints=Endpoints(image="https://ims.test"),
    )


@pytest.mark.parametrize(("more", "project"), [({}, Project()), ({"OS_PROJECT_ID": "p1"}, Project(id="p1"))])
def test_application_credential_knows_its_project(more: dict[str, str], project: Project) -> None:
    """An application credential comes before a password and needs no project."""
    assert account(CREDENTIAL, {"OS_USERNAME": "someone"}, more) == Account(
        project=project, login=ApplicationCredential(id="ac1", secret="s3cret"), auth_url="https://iam.test/v3"
    )


@pytest.mark.parametrize(
    ("more", "domain"),
    [
        ({}, Domain(name="OTC1")),
        ({"OS_PROJECT_DOMAIN_NAME": "other"}, Domain(name="other")),
        ({"OS_PROJECT_DOMAIN_ID": "d2", "OS_PROJECT_DOMAIN_NAME": "other"}, Domain(id="d2")),
        ({"OS_DOMAIN_NAME": "account"}, Domain(name="account")),
    ],
)
def test_project_by_name_is_within_a_domain(more: dict[str, str], domain: Domain) -> None:
    """Its own domain, else the user's."""
    found = account(PASSWORD, {"OS_PROJECT_ID": "", "OS_PROJECT_NAME": "eu-de"}, more)
    assert found.project == Project(name="eu-de", domain=domain)


def test_user_is_known_by_id_or_name() -> None:
    """A user ID needs no domain; on T Cloud Public `OS_DOMAIN_NAME` is the user's domain as well."""
    by_id = account(PASSWORD, {"OS_USERNAME": "", "OS_USER_ID": "u1", "OS_USER_DOMAIN_NAME": ""})
    assert by_id.login == Password(user_id="u1", secret="s3cret")
    by_name = account(PASSWORD, {"OS_USER_DOMAIN_NAME": "", "OS_DOMAIN_NAME": "OTC1"})
    assert by_name.login == USER


def test_agency_lends_projects_by_id_or_name() -> None:
    """The agency is named as in the Terraform providers; a project's name is the lender's."""
    more = {"OS_AGENCY_NAME": "doorman", "OS_AGENCY_DOMAIN_NAME": "OTC2"}
    by_name = {"OS_PROJECT_ID": "", "OS_DELEGATED_PROJECT": "eu-de"}
    agency = Agency(name="doorman", domain=Domain(name="OTC2"))
    assert account(PASSWORD, more).agency == agency
    assert account(PASSWORD, more, by_name).project == Project(name="eu-de", domain=Domain(name="OTC2"))


@pytest.mark.parametrize(
    ("url", "read"),
    [
        ("https://iam.test/v3/", "https://iam.test/v3"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000/v3"),
        ("http://127.0.0.1/identity/", "http://127.0.0.1/identity/v3"),
        ("http://127.0.0.1:5000/v2.0", "http://127.0.0.1:5000/v3"),
    ],
)
def test_auth_url_leads_to_version_3(url: str, read: str) -> None:
    """The bare service URL, as many an openrc file has it, is led to version 3."""
    assert account(PASSWORD, {"OS_AUTH_URL": url}).auth_url == read


def test_endpoints_and_interface_are_read() -> None:
    """Overrides lose their trailing slash, the image's also its version; `publicURL` is `public`."""
    more = {
        "OS_IMAGE_ENDPOINT_OVERRIDE": "https://ims.test/v2/",
        "OS_CBR_ENDPOINT_OVERRIDE": "https://cbr.test/",
        "OS_COMPUTE_ENDPOINT_OVERRIDE": "https://ecs.test/v2.1/p1",
        "OS_ENDPOINT_TYPE": "internalURL",
    }
    found = account(PASSWORD, more)
    endpoints = Endpoints(image="https://ims.test", cbr="https://cbr.test", compute="https://ecs.test/v2.1/p1")
    assert (found.endpoints, found.interface) == (endpoints, "internal")


def test_secret_keeps_its_spaces() -> None:
    """Only the line end that a file leaves behind is taken off a password."""
    login = account(PASSWORD, {"OS_PASSWORD": " a b \n"}).login
    assert login == Password(user_name="doorman", domain=Domain(name="OTC1"), secret=" a b ")


def test_login_may_come_with_each_call() -> None:
    """Where credentials come with the call, none are needed here, but half of them is still an error."""
    environ = {"OS_IMAGE_ENDPOINT_OVERRIDE": "https://ims.test", "OS_PROJECT_ID": "p1,p2"}
    identity = Identity.from_environ(environ, login_required=False)
    assert identity == Identity(endpoints=Endpoints(image="https://ims.test"), projects=("p1", "p2"))
    with pytest.raises(Misconfigured, match=r"^OS_PROJECT_ID must hold project IDs"):
        Identity.from_environ({"OS_PROJECT_ID": "p/1"}, login_required=False)
    with pytest.raises(Misconfigured, match=r"^OS_SECRET_KEY is missing"):
        Identity.from_environ({"OS_ACCESS_KEY": "AK"}, login_required=False)


def test_secrets_have_no_repr() -> None:
    """Printing an identity shows no secret of any kind."""
    found = accounts(PASSWORD) + accounts(CREDENTIAL) + accounts(KEYS, {"OS_SECURITY_TOKEN": "s3cret-token"})
    assert "s3cret" not in repr(found)
