"""What an entry of clouds.yaml says, in the words of the environment."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorman.cloud.auth.clouds_yaml import read_entry
from doorman.cloud.auth.variables import Values
from doorman.errors import Misconfigured

FULL = """
defaults: &defaults
  region_name: eu-de
  interface: public
clouds:
  otc:
    <<: *defaults
    auth:
      auth_url: https://iam.test/v3
      username: doorman
      password: 0123
      user_domain_name: OTC1
      project_id: 00123
    image_endpoint_override: https://ims.test
    cacert: /etc/ca.pem
    identity_api_version: 3
  empty:
"""


def read(
    text: str, cloud: str = "otc", *, secure: str | None = None, fallbacks: dict[str, str] | None = None
) -> Values:
    """Read one entry."""
    return read_entry(text, secure, cloud=cloud, file="clouds.yaml", fallbacks=fallbacks or {})


def test_entry_is_read_as_it_is_written() -> None:
    """Anchors and merge keys work, and every value is the text that stands there: `0123` is no number."""
    assert read(FULL).values == {
        "OS_AUTH_URL": "https://iam.test/v3",
        "OS_USERNAME": "doorman",
        "OS_PASSWORD": "0123",
        "OS_USER_DOMAIN_NAME": "OTC1",
        "OS_PROJECT_ID": "00123",
        "OS_REGION_NAME": "eu-de",
        "OS_INTERFACE": "public",
        "OS_IMAGE_ENDPOINT_OVERRIDE": "https://ims.test",
        "OS_CACERT": "/etc/ca.pem",
    }


def test_secure_yaml_lies_on_top() -> None:
    """secure.yaml adds and replaces single values, as the OpenStack clients do it."""
    secure = "clouds: {otc: {auth: {password: s3cret}, region_name: eu-nl}}"
    values = read(FULL, secure=secure).values
    assert (values["OS_PASSWORD"], values["OS_REGION_NAME"], values["OS_USERNAME"]) == ("s3cret", "eu-nl", "doorman")
    assert read(FULL, secure="clouds: {other: {}}").values == read(FULL).values


@pytest.mark.parametrize(
    "entry",
    [
        "{auth: {ak: AK, sk: SK, security_token: ST}}",
        "{ak: AK, sk: SK, security_token: ST, auth: 7}",
        "{auth: {access_key: AK, secret_key: SK}, security_token: ST}",
        "{access_key: AK, secret_key: SK, security_token: ST}",
    ],
)
def test_keys_are_found_in_both_spellings(entry: str) -> None:
    """AK/SK stand beside `auth` or in it, in the short or the long spelling."""
    assert read(f"clouds: {{otc: {entry}}}").values == {
        "OS_ACCESS_KEY": "AK",
        "OS_SECRET_KEY": "SK",
        "OS_SECURITY_TOKEN": "ST",
    }


def test_environment_fills_the_gaps() -> None:
    """What the entry does not say is taken from the environment; a project that it names is its own."""
    fallbacks = {"OS_REGION_NAME": "eu-nl", "OS_PROJECT_ID": "p9"}
    assert read("clouds: {otc: {ak: AK}}", fallbacks=fallbacks).values == {"OS_ACCESS_KEY": "AK"} | fallbacks
    named = read("clouds: {otc: {region_name: eu-de, auth: {project_name: x}}}", fallbacks=fallbacks)
    assert named.values == {"OS_REGION_NAME": "eu-de", "OS_PROJECT_NAME": "x"}


def test_messages_spell_the_place_in_the_file() -> None:
    """A missing value is named as the file spells it."""
    values = read("clouds: {otc: {auth: {username: ''}}}")
    assert [values.spell(name) for name in ("OS_PASSWORD", "OS_REGION_NAME", "OS_OTHER")] == [
        "clouds.yaml: clouds.otc.auth.password",
        "clouds.yaml: clouds.otc.region_name",
        "clouds.yaml: clouds.otc.OS_OTHER",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("clouds: {}", "clouds.yaml has no entry 'otc' under clouds: check OS_CLOUD"),
        ("clouds: {otc: }", "clouds.yaml has no entry 'otc' under clouds: check OS_CLOUD"),
        ("[]", "clouds.yaml has no entry 'otc' under clouds: check OS_CLOUD"),
        ("", "clouds.yaml has no entry 'otc' under clouds: check OS_CLOUD"),
        (
            "clouds:\n  otc:\n    auth:\n      password: *s3cret\n",
            "clouds.yaml:4:17: is no YAML; put values with special characters into quotes",
        ),
        (
            "clouds: {otc: {auth: {password: !s3cret x}}}",
            "clouds.yaml:1:33: is no YAML; put values with special characters into quotes",
        ),
        (
            "clouds: {otc: {auth: {password: !!int s3cret}}}",
            "clouds.yaml: is no YAML; put values with special characters into quotes",
        ),
        (
            "clouds: {otc: {auth: {password: !!timestamp s3cret}}}",
            "clouds.yaml: is no YAML; put values with special characters into quotes",
        ),
        ("[" * 10_000, "clouds.yaml: is no YAML; put values with special characters into quotes"),
        ("a\x00b", "clouds.yaml: is no YAML; put values with special characters into quotes"),
        (
            "clouds: {otc: {auth_type: v3oidcpassword}}",
            (
                "clouds.yaml: clouds.otc.auth_type must be one of password, v3password, v3applicationcredential, aksk: "
                "other logins cannot be renewed"
            ),
        ),
        (
            "clouds: {otc: {verify: False}}",
            "clouds.yaml: clouds.otc: certificates are always verified; name your own authority in cacert",
        ),
        (
            "clouds: {otc: {insecure: true}}",
            "clouds.yaml: clouds.otc: certificates are always verified; name your own authority in cacert",
        ),
    ],
)
def test_message_tells_where_but_never_what(text: str, message: str) -> None:
    """A broken file is one line with its place; what stands there may be a password and is not repeated."""
    with pytest.raises(Misconfigured) as caught:
        read(text)
    assert str(caught.value) == message
    assert caught.value.__cause__ is None


@given(st.text() | st.binary().map(lambda noise: noise.decode("utf-8", "replace")))
def test_any_text_is_an_entry_or_a_message(text: str) -> None:
    """Whatever the file holds, nothing but `Misconfigured` comes out."""
    with pytest.raises(Misconfigured):
        read(text)
