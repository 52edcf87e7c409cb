"""What an entry of clouds.yaml says, in the words of the environment; `test_corpus` holds what it comes to."""

from typing import Any

import pytest

from doorman.cloud.auth.accounts import HandOver
from doorman.cloud.auth.clouds_yaml import Source, read_entry
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
    """Read one entry that our own reader knows."""
    found = read_entry(text, secure, Source(file="clouds.yaml", cloud=cloud, fallbacks=fallbacks or {}))
    assert isinstance(found, Values)
    return found


def handed(text: str, **more: Any) -> str:
    """Say what makes an entry one for openstacksdk."""
    source = Source(file="clouds.yaml", cloud="otc", fallbacks={}, **more)
    found = read_entry(f"clouds: {{otc: {text}}}", None, source)
    assert isinstance(found, HandOver)
    return found.key.removeprefix("clouds.yaml: clouds.otc.")


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
        "{ak: AK, sk: SK, security_token: ST, auth: {}}",
        "{auth: {access_key: AK, secret_key: SK}, security_token: ST}",
        "{access_key: AK, secret_key: SK, security_token: ST}",
    ],
)
def test_keys_are_found_in_both_spellings(entry: str) -> None:
    """AK/SK stand beside `auth` or in it, in the short or the long spelling."""
    found = read(f"clouds: {{otc: {entry}}}").values
    assert found == {"OS_ACCESS_KEY": "AK", "OS_SECRET_KEY": "SK", "OS_SECURITY_TOKEN": "ST"}


def test_environment_fills_the_gaps() -> None:
    """What the entry does not say is taken from the environment; a project that it names is its own."""
    fallbacks = {"OS_REGION_NAME": "eu-nl", "OS_PROJECT_ID": "p9"}
    assert read("clouds: {otc: {ak: AK}}", fallbacks=fallbacks).values == {"OS_ACCESS_KEY": "AK"} | fallbacks
    named = read("clouds: {otc: {region_name: eu-de, auth: {project_name: x}}}", fallbacks=fallbacks)
    assert named.values == {"OS_REGION_NAME": "eu-de", "OS_PROJECT_NAME": "x"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("clouds: {}", "clouds.yaml has no entry 'otc' under clouds: check OS_CLOUD"),
        ("clouds: {otc: }", "clouds.yaml: clouds.otc.auth is missing: keys such as `username:` stand there"),
        ("clouds: {a: {}, b: {}}", "clouds.yaml has no entry 'otc' under clouds: check OS_CLOUD; there are a, b"),
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
        (
            "clouds: {otc: &otc {auth: *otc}}",
            "clouds.yaml: an entry contains itself: an alias (*) lies within its own anchor (&)",
        ),
        (
            '{"clouds": {"o\\udfffc": {}}}',
            "clouds.yaml has no entry 'otc' under clouds: check OS_CLOUD; there are o\\udfffc",
        ),
        (
            '{"clouds": {"otc": {"regions": ["o\\udfff"], "region_name": "c"}}}',
            "clouds.yaml: clouds.otc.region_name names a region that clouds.otc does not have: o\\udfff",
        ),
        ("[" * 1500, "clouds.yaml: is no YAML; put values with special characters into quotes"),
        ("a\x00b", "clouds.yaml: is no YAML; put values with special characters into quotes"),
        ("clouds: {otc: {}}\n---\nclouds: {}", "clouds.yaml:2:1: a second YAML document begins here (---); keep one"),
        ("clouds:\n\totc: {}", "clouds.yaml:2:1: a tab stands where YAML wants spaces"),
        (
            "clouds: {otc: {regions: [a, b], region_name: c}}",
            "clouds.yaml: clouds.otc.region_name names a region that clouds.otc does not have: a, b",
        ),
    ],
)
def test_message_tells_where_but_never_what(text: str, message: str) -> None:
    """A broken file is one line with its place; what stands there may be a password and is not repeated."""
    with pytest.raises(Misconfigured) as caught:
        read(text)
    assert str(caught.value) == message
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("entry", "values"),
    [
        ("{regions: [eu-de, eu-nl], region_name: eu-nl}", {"OS_REGION_NAME": "eu-nl"}),
        (
            "{profile: otc, region_name: eu-nl}",
            {"OS_AUTH_URL": "https://iam.eu-nl.otc.t-systems.com/v3", "OS_REGION_NAME": "eu-nl"},
        ),
        (
            "{profile: otc-swiss}",
            {"OS_AUTH_URL": "https://iam-pub.eu-ch2.sc.otc.t-systems.com/v3", "OS_REGION_NAME": "eu-ch2"},
        ),
        (
            "{profile: otc, auth: {auth_url: https://iam.test/v3}}",
            {"OS_AUTH_URL": "https://iam.test/v3", "OS_REGION_NAME": "eu-de"},
        ),
        ("{auth: {project_name: ['a, b', c]}}", {"OS_PROJECT_NAME": "a, b\nc"}),
        ("{endpoint_type: internalURL}", {"OS_INTERFACE": "internalURL"}),
        ("{volume_api_version: 3, network_endpoint_override: x, image_format: raw, networks: [{name: n}]}", {}),
    ],
)
def test_layouts(entry: str, values: dict[str, str]) -> None:
    """Regions, profiles and lists of projects come to what they mean."""
    assert read(f"clouds: {{otc: {entry}}}").values == values


def test_region_of_the_environment() -> None:
    """It chooses among the entry's regions, and must be one of them."""
    assert read("clouds: {otc: {regions: [a, b]}}", fallbacks={"OS_REGION_NAME": "b"}).values["OS_REGION_NAME"] == "b"
    with pytest.raises(Misconfigured, match=r"^OS_REGION_NAME names a region that clouds.otc does not have: a, b$"):
        read("clouds: {otc: {regions: [a, b]}}", fallbacks={"OS_REGION_NAME": "c"})


@pytest.mark.parametrize(
    ("entry", "key"),
    [
        ("{auth_type: v3oidcpassword}", "auth_type"),
        ("{username: doorman}", "username"),
        ("{auth: {auth-url: x}}", "auth.auth-url"),
        ("{auth: {default_domain_id: default}}", "auth.default_domain_id"),
        ("{auth: {trust_id: t}}", "auth.trust_id"),
        ("{auth: {application_credential_name: n}}", "auth.application_credential_name"),
        ("{auth: {auth_url: 'https://iam.{region_name}.test'}}", "auth.auth_url"),
        ("{image_endpoint_override: 'https://ims.{region_name}.test'}", "image_endpoint_override"),
        ("{auth: {username: [a]}}", "auth.username"),
        ("{regions: [{name: a, values: {}}]}", "regions"),
        ("{region_name: 'a,b'}", "region_name"),
        ("{interface: [public, internal]}", "interface"),
        ("{cloud: otc}", "cloud"),
        ("{endpoint_type: internalURL, interface: public}", "endpoint_type"),
        ("{profile: vexxhost}", "profile"),
        ("{cert: c, key: k}", "cert"),
        ("{image_region_name: a}", "image_region_name"),
        ("{'': x, auth: {project_id: [[a]]}}", ""),
    ],
)
def test_what_we_do_not_know_is_handed_over(entry: str, key: str) -> None:
    """Any other key, type or layout goes to openstacksdk, whole; the key is named as the file spells it."""
    assert handed(entry) == key


def test_vendor_files_count_before_our_profiles() -> None:
    """Who has a clouds-public.yaml may have another profile by that name."""
    assert handed("{profile: otc}", vendor_files=("clouds-public.yaml",)) == "profile"
