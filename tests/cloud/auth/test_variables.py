"""What is said where an `OS_*` variable is missing or wrong."""

import pytest

from doorman.cloud.auth.environ import Identity
from doorman.cloud.auth.variables import is_plain_url
from doorman.errors import Misconfigured
from tests.fake_keystone import CREDENTIAL, KEYS, PASSWORD

AGENCY, BY_NAME = {"OS_AGENCY_NAME": "doorman"}, {"OS_PROJECT_ID": "", "OS_PROJECT_NAME": "x"}
BY_USER_ID = {"OS_USER_ID": "u", "OS_USER_DOMAIN_NAME": ""}


@pytest.mark.parametrize(
    ("login", "more", "message"),
    [
        (PASSWORD, {"OS_PASSWORD": " "}, "OS_PASSWORD is missing: a login with a user name needs its password"),
        (PASSWORD, {"OS_USER_DOMAIN_NAME": ""}, "OS_USER_DOMAIN_NAME is missing: a user name is looked up within its"),
        (PASSWORD, {"OS_AUTH_URL": ""}, "OS_AUTH_URL is missing: the URL of Keystone, such as https://iam.eu-de.otc"),
        (PASSWORD, {"OS_AUTH_URL": "iam.test/v3"}, "OS_AUTH_URL must be an http:// or https:// URL without user, "),
        (PASSWORD, {"OS_PROJECT_ID": ","}, "OS_PROJECT_ID is missing: the ID of the served project, or several with"),
        (PASSWORD, {"OS_PROJECT_ID": "p1,../p2"}, "OS_PROJECT_ID must hold project IDs: 1 to 64 of A-Z a-z 0-9 _ -, "),
        (PASSWORD, BY_NAME | BY_USER_ID, "OS_PROJECT_DOMAIN_NAME is missing: a project name is looked up within its"),
        (PASSWORD, {"OS_INTERFACE": "outer"}, "OS_INTERFACE must be one of public, internal, admin"),
        (PASSWORD, AGENCY, "OS_AGENCY_DOMAIN_NAME is missing: the account that lends the agency"),
        (
            PASSWORD,
            AGENCY | BY_USER_ID,
            "OS_USER_DOMAIN_NAME is missing: an agency is asked for from within the user's",
        ),
        (KEYS, AGENCY, "OS_AGENCY_NAME needs a login with user name and password"),
        (KEYS, {"OS_ACCESS_KEY": ""}, "OS_ACCESS_KEY is missing: it belongs to the secret key"),
        (KEYS, {"OS_SECRET_KEY": ""}, "OS_SECRET_KEY is missing: it belongs to the access key"),
        (KEYS, {"OS_IMAGE_ENDPOINT_OVERRIDE": ""}, "OS_IMAGE_ENDPOINT_OVERRIDE is missing: AK/SK has no catalog to"),
        (KEYS, BY_NAME, "OS_PROJECT_ID is missing: the ID of the served project, or several with"),
        (CREDENTIAL, {"OS_APPLICATION_CREDENTIAL_ID": ""}, "OS_APPLICATION_CREDENTIAL_ID is missing: application"),
        (CREDENTIAL, {"OS_APPLICATION_CREDENTIAL_SECRET": ""}, "OS_APPLICATION_CREDENTIAL_SECRET is missing: it"),
        (CREDENTIAL, {"OS_PROJECT_ID": "p1,p2"}, "OS_PROJECT_ID names 2 projects, but an application credential is"),
    ],
)
def test_message_names_the_variable(login: dict[str, str], more: dict[str, str], message: str) -> None:
    """Whatever is missing or wrong, one line names the variable and what it is for."""
    with pytest.raises(Misconfigured) as caught:
        Identity.from_environ(login | more)
    assert str(caught.value).startswith(message)
    assert ";" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "https://user@iam.test",
        "https://user:pass@iam.test",
        "https://iam.test?x=1",
        "https://iam.test#x",
        "ftp://iam.test",
        "https://",
        "https://iam.test:99999",
        "https://iam.test:0",
        "https://[::1",
        "https://iam.test/a b",
    ],
)
def test_url_hides_nothing(text: str) -> None:
    """A URL goes into messages, so it must not hold a secret; and it must be one."""
    assert not is_plain_url(text)
