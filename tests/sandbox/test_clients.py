"""Clients that others wrote work against the sandbox unchanged: the vendor's SDK, and OpenStack's."""

import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from doorman.sandbox.cloud import create_app
from doorman.sandbox.serving import serve
from doorman.sandbox.state import Cloud

with warnings.catch_warnings():  # what these packages warn about while they are imported is not ours to mend
    warnings.simplefilter("ignore")
    import openstack
    from huaweicloudsdkcore.auth.credentials import BasicCredentials
    from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
    from huaweicloudsdkims.v2 import (
        BatchUpdateMembersRequest,
        BatchUpdateMembersRequestBody,
        ImsClient,
        ListImagesRequest,
        ShowJobProgressRequest,
        ShowJobRequest,
    )

pytestmark = [  # nor is what they warn their own callers about; the classic job query is what we are here for
    pytest.mark.filterwarnings("ignore:Method 'show_job' of ImsClient is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::PendingDeprecationWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:huaweicloudsdkcore"),
]

ME, OWNER = "9c61004714024f9586705d090530f9fa", "0b1c2d3e4f5061728394a5b6c7d8e9f0"


@pytest.fixture
def cloud() -> Cloud:
    """A cloud with a user who has a password, lasting keys and temporary keys; jobs end at once."""
    cloud = Cloud()
    cloud.settings.job_seconds = 0
    user = cloud.add_user("doorman", "secret", [ME])
    cloud.add_access_key("AK", "SK", user, ME)
    cloud.add_access_key("TAK", "TSK", user, ME, security_token="temporary")
    return cloud


@pytest.fixture
def url(cloud: Cloud) -> Iterator[str]:
    """The cloud over real HTTP."""
    with serve(create_app(cloud)) as base:
        yield base


def vendor(url: str, access: str = "AK", secret: str = "SK", token: str | None = None) -> Any:
    """Make the vendor's client, which signs with AK/SK."""
    credentials = BasicCredentials(access, secret, ME)
    if token is not None:
        credentials = credentials.with_security_token(token)
    return ImsClient.new_builder().with_credentials(credentials).with_endpoints([url]).build()


def pending(client: Any) -> list[str]:
    """List the pending shares with the vendor's client."""
    request = ListImagesRequest(member_status="pending", visibility="shared", imagetype="shared")
    return [image.id for image in client.list_images(request).images]


def update(client: Any, images: list[str], status: str = "accepted") -> str:
    """Settle shares with the vendor's client; the job's ID."""
    body = BatchUpdateMembersRequestBody(images=images, project_id=ME, status=status)
    job_id = client.batch_update_members(BatchUpdateMembersRequest(body=body)).job_id
    assert isinstance(job_id, str)
    return job_id


@pytest.mark.parametrize("keys", [("AK", "SK"), ("TAK", "TSK", "temporary")])
def test_vendor_sdk(cloud: Cloud, url: str, keys: tuple[str, ...]) -> None:
    """The vendor's SDK lists, accepts and follows the job, with lasting and with temporary keys."""
    client = vendor(url, *keys)
    images = [cloud.add_share(OWNER, ME, name=f"gold {n} ä&+") for n in range(3)]
    assert pending(client) == images[::-1]
    job_id = update(client, images[:2])
    job = client.show_job(ShowJobRequest(job_id=job_id))
    assert (job.status, job.job_type) == ("SUCCESS", "imsUpdateImageMembersJob")
    assert client.show_job_progress(ShowJobProgressRequest(job_id=job_id)).entities.process_percent == 100
    assert pending(client) == images[2:]
    assert [cloud.member_status(i, ME) for i in images] == ["accepted", "accepted", "pending"]
    assert {call.user for call in cloud.calls} == {"doorman"}


@pytest.mark.parametrize("keys", [("AK", "wrong"), ("nobody", "SK"), ("TAK", "TSK"), ("AK", "SK", "temporary")])
def test_vendor_sdk_is_refused(cloud: Cloud, url: str, keys: tuple[str, ...]) -> None:
    """A wrong secret, an unknown key, and a token that is missing or too many are 401."""
    with pytest.raises(ClientRequestException) as refused:
        pending(vendor(url, *keys))
    assert refused.value.status_code == 401


def test_vendor_sdk_reads_our_errors(cloud: Cloud, url: str) -> None:
    """The SDK finds code and message in an error of the image service."""
    with pytest.raises(ClientRequestException) as refused:
        update(vendor(url), ["6596628c-42d4-4ff1-8660-8ea5ae61f243"])
    assert (refused.value.status_code, refused.value.error_code) == (400, "IMG.0027")


def connect(url: str, user: str, **project: str) -> Any:
    """Make OpenStack's client, which logs in with a password."""
    login = {"auth_url": url, "username": user, "password": "secret", "user_domain_name": "Default"}
    return openstack.connect(**login, **project, region_name="eu-de", load_yaml_config=False, load_envvars=False)


def test_openstack_sdk(cloud: Cloud, url: str) -> None:
    """OpenStack's SDK logs in by discovery, lists what is pending over several pages, accepts and rejects."""
    images = [cloud.add_share(OWNER, ME) for _ in range(5)]
    with connect(f"{url}/identity", "doorman", project_id=ME) as connection:
        listed = connection.image.images(visibility="shared", member_status="pending", limit=2)
        assert [image.id for image in listed] == images[::-1]
        for image_id, status in zip(images, ["accepted", "rejected"], strict=False):
            told = connection.image.update_member(ME, image_id, status=status)
            assert (told.status, told.member_id) == (status, ME)
        assert connection.image.get_image(images[0]).owner == OWNER
        assert [m.status for m in connection.image.members(images[1])] == ["rejected"]
    assert [cloud.member_status(i, ME) for i in images] == ["accepted", "rejected", "pending", "pending", "pending"]
