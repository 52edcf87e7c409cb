"""Which URL of a catalog is a service's base."""

from dataclasses import fields
from typing import Any, get_args

import pytest
from pydantic import TypeAdapter

from doorman.cloud.api.base import Service
from doorman.cloud.auth.accounts import Account, Endpoints, Project
from doorman.cloud.auth.catalog import TYPES, VERSIONS, Catalog, Entry, find_endpoint
from doorman.cloud.listing import RIGHTS
from doorman.errors import Misconfigured


def entry(kind: str, url: str, **more: Any) -> Entry:
    """One service with one endpoint."""
    return Entry.model_validate({"type": kind, "endpoints": [{"url": url, "interface": "public"} | more]})


def find(*entries: Entry, service: Service = "image", **more: Any) -> str:
    """Find a public endpoint unless told otherwise."""
    return find_endpoint(entries, service, Account(project=Project(), login=None, **more))


def test_every_service_is_known_everywhere() -> None:
    """Where the catalog has it, what replaces its URL, and which right reading it needs."""
    services = set(get_args(Service))
    assert services == set(TYPES) == set(VERSIONS) == {each.name for each in fields(Endpoints)} == set(RIGHTS)


@pytest.mark.parametrize(
    ("service", "kind", "url", "base"),
    [
        ("image", "image", "https://ims.eu-de.otc.t-systems.com", "https://ims.eu-de.otc.t-systems.com"),
        ("image", "image", "http://127.0.0.1:9292/v2/", "http://127.0.0.1:9292"),
        ("image", "image", "http://cloud.test/image/v2.0", "http://cloud.test/image"),
        ("image", "ims", "https://ims.test/v2", "https://ims.test"),
        ("image", "image", "https://ims.test/v2/0123456789abcdef", "https://ims.test"),
        ("cbr", "cbr", "https://cbr.test/v3/0123456789abcdef", "https://cbr.test"),
        ("cbr", "cbrv3", "https://cbr.test/v3", "https://cbr.test"),
        ("cbr", "cbr", "https://cbr.test", "https://cbr.test"),
        ("compute", "compute", "https://ecs.test/v2.1/p1/", "https://ecs.test/v2.1/p1"),
    ],
)
def test_base_url_carries_no_version(service: Service, kind: str, url: str, base: str) -> None:
    """Version, project and trailing slash are taken off; compute keeps its path."""
    assert find(entry(kind, url), service=service) == base


def test_usual_type_comes_first() -> None:
    """Where a cloud lists a service under two types, the usual one counts."""
    assert find(entry("ims", "https://other.test"), entry("image", "https://ims.test")) == "https://ims.test"


def test_region_and_interface_choose() -> None:
    """The region, by either of its fields, and the interface, in either spelling, choose the endpoint."""
    entries = (
        entry("image", "https://nl.test", region_id="eu-nl"),
        entry("image", "https://de.test", region="eu-de"),
        entry("image", "https://inside.test", region="eu-de", interface="internalURL"),
    )
    assert find(*entries, region="eu-nl") == "https://nl.test"
    assert find(*entries, region="eu-de") == "https://de.test"
    assert find(*entries, region="eu-de", interface="internal") == "https://inside.test"
    assert find(entry("image", "https://all.test", region="*"), region="eu-de") == "https://all.test"


@pytest.mark.parametrize("region", ["eu-de", None])
def test_own_region_comes_before_everywhere(region: str | None) -> None:
    """T Cloud Public lists global services under `*`, some beside a region's own."""
    entries = (entry("image", "https://all.test", region="*"), entry("image", "https://de.test", region="eu-de"))
    assert find(*entries, region=region) == "https://de.test"


def test_missing_endpoint_names_the_settings() -> None:
    """The message says what was looked for, where the service is, and which variable helps."""
    with pytest.raises(
        Misconfigured, match=r"^the catalog has no public endpoint of the image service in region x \(it"
    ):
        find(entry("image", "https://nl.test", region="eu-nl"), region="x")
    with pytest.raises(Misconfigured) as caught:
        find(entry("compute", "https://ecs.test"), service="cbr", region="eu-de")
    assert str(caught.value) == (
        "the catalog has no public endpoint of the cbr service in region eu-de: check OS_REGION_NAME, "
        "or set OS_CBR_ENDPOINT_OVERRIDE"
    )


def test_several_regions_must_be_chosen_from() -> None:
    """No region is guessed: images are shared within one region only."""
    entries = (entry("image", "https://nl.test", region="eu-nl"), entry("image", "https://de.test", region="eu-de"))
    with pytest.raises(Misconfigured, match=r"in several regions \(eu-de, eu-nl\): set clouds\.it\.region_name$"):
        find(*entries, entry="it")


@pytest.mark.parametrize("url", ["https://[::1", "https://ims.test:99999", "https://u:secret@ims.test", "https://:80"])
def test_endpoint_that_is_no_url(url: str) -> None:
    """Where no request can go, or what hides a password, counts as missing."""
    assert find(entry("image", url), entry("image", "https://good.test")) == "https://good.test"


@pytest.mark.parametrize("raw", [None, 7, "x", {}, [None], [{"type": None}], [{"type": "image", "endpoints": None}]])
def test_no_catalog(raw: object) -> None:
    """What is no catalog has no services; nothing ends a login."""
    assert TypeAdapter(Catalog).validate_python(raw) == ()


@pytest.mark.parametrize("shape", [list, dict])
def test_others_faults_are_not_ours(shape: type) -> None:
    """A null URL or type, a URL that is none, an odd region or interface, of whatever service: it is left out."""
    good = {"url": "https://ims.test", "interface": "public", "region": "eu-de", "region_id": None}
    odd = [{**good, **each} for each in ({"url": ""}, {"url": "/v2/p"}, {"region": 5}, {"interface": None})]
    endpoints = [*odd, good, None, {"url": None}]
    rows = [{"type": "image", "endpoints": endpoints}, {"type": ["image"], "endpoints": []}, {"type": "mine"}]
    raw = rows if shape is list else dict(enumerate(rows))
    assert TypeAdapter(Catalog).validate_python(raw) == (Entry.model_validate({"type": "image", "endpoints": [good]}),)
