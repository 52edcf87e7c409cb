"""What is said where an `OS_*` variable is missing or wrong."""

import pytest

from doorman.cloud.auth.environ import NO_LOGIN, Identity
from doorman.cloud.auth.variables import is_plain_url
from doorman.errors import Misconfigured
from tests.fake_keystone import CREDENTIAL, KEYS, PASSWORD


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (
            ({},),
            NO_LOGIN,
        ),
        ((PASSWORD, {"OS_PASSWORD": " "}), "OS_PASSWORD is missing: a login with a user name needs its password"),
        (
            (PASSWORD, {"OS_USER_DOMAIN_NAME": ""}),
            "OS_USER_DOMAIN_NAME is missing: a user name is looked up within its domain (the account name)",
        ),
        (
            (PASSWORD, {"OS_AUTH_URL": ""}),
            "OS_AUTH_URL is missing: the URL of Keystone, such as https://iam.eu-de.otc.t-systems.com/v3",
        ),
        (
            (PASSWORD, {"OS_AUTH_URL": "iam.test/v3"}),
            "OS_AUTH_URL must be an http:// or https:// URL without user, query or fragment",
        ),
        (
            (PASSWORD, {"OS_PROJECT_ID": ","}),
            "OS_PROJECT_ID is missing: the ID of the served project, or several with commas between",
        ),
        (
            (PASSWORD, {"OS_PROJECT_ID": "p1,../p2"}),
            "OS_PROJECT_ID must hold project IDs: 1 to 64 of A-Z a-z 0-9 _ -, commas between",
        ),
        (
            (PASSWORD, {"OS_PROJECT_ID": "", "OS_PROJECT_NAME": "x", "OS_USER_ID": "u", "OS_USER_DOMAIN_NAME": ""}),
            "OS_PROJECT_DOMAIN_NAME is missing: a project name is looked up within its domain",
        ),
        ((PASSWORD, {"OS_INTERFACE": "outer"}), "OS_INTERFACE must be one of public, internal, admin"),
        (
            (PASSWORD, {"OS_AGENCY_NAME": "doorman"}),
            "OS_AGENCY_DOMAIN_NAME is missing: the account that lends the agency",
        ),
        (
            (PASSWORD, {"OS_AGENCY_NAME": "doorman", "OS_USER_ID": "u1", "OS_USER_DOMAIN_NAME": ""}),
            "OS_USER_DOMAIN_NAME is missing: an agency is asked for from within the user's own domain",
        ),
        ((KEYS, {"OS_AGENCY_NAME": "doorman"}), "OS_AGENCY_NAME needs a login with user name and password"),
        ((KEYS, {"OS_ACCESS_KEY": ""}), "OS_ACCESS_KEY is missing: it belongs to the secret key"),
        ((KEYS, {"OS_SECRET_KEY": ""}), "OS_SECRET_KEY is missing: it belongs to the access key"),
        (
            (KEYS, {"OS_IMAGE_ENDPOINT_OVERRIDE": ""}),
            "OS_IMAGE_ENDPOINT_OVERRIDE is missing: AK/SK has no catalog to find the image service in",
        ),
        (
            (KEYS, {"OS_PROJECT_ID": "", "OS_PROJECT_NAME": "eu-de"}),
            "OS_PROJECT_ID is missing: the ID of the served project, or several with commas between",
        ),
        (
            (CREDENTIAL, {"OS_APPLICATION_CREDENTIAL_ID": ""}),
            "OS_APPLICATION_CREDENTIAL_ID is missing: application credentials are found by their ID",
        ),
        (
            (CREDENTIAL, {"OS_APPLICATION_CREDENTIAL_SECRET": ""}),
            "OS_APPLICATION_CREDENTIAL_SECRET is missing: it belongs to the application credential",
        ),
        (
            (CREDENTIAL, {"OS_PROJECT_ID": "p1,p2"}),
            "OS_PROJECT_ID names 2 projects, but an application credential is for one",
        ),
    ],
)
def test_message_names_the_variable(layers: tuple[dict[str, str], ...], message: str) -> None:
    """Whatever is missing or wrong, one line names the variable and what it is for."""
    with pytest.raises(Misconfigured) as caught:
        Identity.from_environ({name: value for layer in layers for name, value in layer.items()})
    assert str(caught.value) == message


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
