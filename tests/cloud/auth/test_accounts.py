"""How `OS_*` variables become accounts, and what is said where they do not."""

from dataclasses import replace
from typing import Any

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

AC = ApplicationCredential(id="ac1", secret="s3cret")
USER = Password(user_name="doorman", domain=Domain(name="OTC1"), secret="s3cret")


ACCOUNT = Account(project=Project(id="p1"), login=USER, auth_url="https://iam.test/v3")
BY_NAME = {"OS_PROJECT_ID": "", "OS_PROJECT_NAME": "eu-de"}
NO_DOMAIN = {"OS_USER_DOMAIN_NAME": ""}
AGENCY = {"OS_AGENCY_NAME": "doorman", "OS_AGENCY_DOMAIN_NAME": "OTC2"}
LENT = Agency(name="doorman", domain=Domain(name="OTC2"))
ENDPOINTS = {
    "OS_IMAGE_ENDPOINT_OVERRIDE": "https://ims.test/v2/",
    "OS_CBR_ENDPOINT_OVERRIDE": "https://cbr.test/",
    "OS_COMPUTE_ENDPOINT_OVERRIDE": "https://ecs.test/v2.1/p1",
}


def within(domain: Domain) -> dict[str, Any]:
    """What changes where the project is known by its name within this domain."""
    return {"project": Project(name="eu-de", domain=domain)}


@pytest.mark.parametrize(
    ("environ", "changed"),
    [
        (PASSWORD | {"OS_REGION_NAME": "eu-de"}, {"region": "eu-de"}),
        # only the line end that a file leaves behind is taken off a password
        (PASSWORD | {"OS_PASSWORD": " a b \n"}, {"login": replace(USER, secret=" a b ")}),
        # a user ID needs no domain; on T Cloud Public `OS_DOMAIN_NAME` is the user's domain as well
        (PASSWORD | NO_DOMAIN | {"OS_USER_ID": "u1"}, {"login": Password(user_id="u1", secret="s3cret")}),
        (PASSWORD | NO_DOMAIN | {"OS_DOMAIN_NAME": "OTC1"}, {}),
        # a project's name is looked up in its own domain, else in the user's
        (PASSWORD | BY_NAME, within(Domain(name="OTC1"))),
        (PASSWORD | BY_NAME | {"OS_PROJECT_DOMAIN_NAME": "other"}, within(Domain(name="other"))),
        (PASSWORD | BY_NAME | {"OS_PROJECT_DOMAIN_ID": "d", "OS_PROJECT_DOMAIN_NAME": "x"}, within(Domain(id="d"))),
        (PASSWORD | BY_NAME | {"OS_DOMAIN_NAME": "account"}, within(Domain(name="account"))),
        # an agency is named as in the Terraform providers; a project's name is the lender's
        (PASSWORD | AGENCY, {"agency": LENT}),
        (
            PASSWORD | AGENCY | {"OS_PROJECT_ID": "", "OS_DELEGATED_PROJECT": "eu-de"},
            {"agency": LENT, **within(LENT.domain)},
        ),
        # the bare service URL, as many an openrc file has it, is led to version 3
        (PASSWORD | {"OS_AUTH_URL": "https://iam.test/v3/"}, {}),
        (PASSWORD | {"OS_AUTH_URL": "https://iam.test:5000"}, {"auth_url": "https://iam.test:5000/v3"}),
        (PASSWORD | {"OS_AUTH_URL": "https://iam.test/identity/"}, {"auth_url": "https://iam.test/identity/v3"}),
        (PASSWORD | {"OS_AUTH_URL": "https://iam.test/v2.0"}, {}),
        # overrides lose their trailing slash, the image's also its version; `publicURL` is `public`
        (
            PASSWORD | ENDPOINTS,
            {
                "endpoints": Endpoints(
                    image="https://ims.test", cbr="https://cbr.test", compute="https://ecs.test/v2.1/p1"
                )
            },
        ),
        (PASSWORD | {"OS_ENDPOINT_TYPE": "internalURL"}, {"interface": "internal"}),
        # an application credential comes before a password and needs no project
        (CREDENTIAL | {"OS_USERNAME": "someone"}, {"login": AC, "project": Project()}),
        (CREDENTIAL | {"OS_PROJECT_ID": "p1"}, {"login": AC}),
        # AK/SK takes a security token with it and needs no Keystone; its services are named
        (
            KEYS | {"OS_SECURITY_TOKEN": "t0ken"},
            {
                "login": Keys(access="AK", secret="s3cret", token="t0ken"),
                "auth_url": None,
                "endpoints": Endpoints(image="https://ims.test"),
            },
        ),
    ],
)
def test_account(environ: dict[str, str], changed: dict[str, Any]) -> None:
    """What variables come to."""
    assert Identity.from_environ(environ).accounts == (replace(ACCOUNT, **changed),)


def test_password_serves_each_project() -> None:
    """Every project of the comma-separated list gets an account of its own, named twice or not."""
    found = Identity.from_environ(PASSWORD | {"OS_PROJECT_ID": " p1, p2,,p1 "}).accounts
    assert found == (ACCOUNT, replace(ACCOUNT, project=Project(id="p2")))


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
    for environ in (PASSWORD, CREDENTIAL, KEYS | {"OS_SECURITY_TOKEN": "s3cret-token"}):
        assert "s3cret" not in repr(Identity.from_environ(environ))
