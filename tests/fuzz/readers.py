"""Everything that reads foreign bytes, by name: each must give something or say what is wrong, whatever it is fed."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from doorman.cloud.api import cbr, glance, ims, nova
from doorman.cloud.api.base import Answer, ImageService, check, read_member
from doorman.cloud.api.glance import Glance
from doorman.cloud.api.images import read_first_id, read_row
from doorman.cloud.api.ims import Ims
from doorman.cloud.auth.environ import Identity
from doorman.cloud.auth.keystone import read_token
from doorman.entrypoints.functiongraph.payload import read_payload, unwrap
from doorman.errors import DoormanError
from doorman.events.cloudevents import read, write
from doorman.events.writing import read_check, read_notice
from doorman.models import CloudEvent
from doorman.policy.policy import load

NOW = datetime(2026, 1, 31, 8, 30, tzinfo=UTC)
SERVED = frozenset({"7f2a9c4e1b6d4f0e8a3c5d7b9e1f2a4c", "receiver"})
IMAGE = "6596628c-42d4-4ff1-8660-8ea5ae61f243"
ACCOUNT = Identity.from_environ(
    {
        "OS_AUTH_URL": "https://iam.test/v3",
        "OS_USERNAME": "u",
        "OS_PASSWORD": "p",
        "OS_USER_DOMAIN_NAME": "d",
        "OS_PROJECT_ID": "receiver",
    }
).accounts[0]


def survives(reader: str, data: bytes) -> bool:
    """Feed a reader; say whether it took it. Anything but an error of ours comes out."""
    try:
        READERS[reader](data)
    except DoormanError as error:
        str(error).encode()  # an error that cannot be written down would fail the answer
        return False
    return True


def _follow(events: tuple[CloudEvent, ...]) -> None:
    for event in events:
        write(event)
        for reader in (read_notice, lambda event: read_check(event, now=NOW)):
            try:
                reader(event)
            except DoormanError as error:
                str(error).encode()


def _structured(data: bytes) -> None:
    _follow(read({"content-type": "application/cloudevents+json"}, data))


def _batched(data: bytes) -> None:
    _follow(read({"content-type": "application/cloudevents-batch+json"}, data))


def _binary(data: bytes) -> None:
    head, _, body = data.partition(b"\n\n")
    pairs = (line.partition(":") for line in head.decode("latin-1").splitlines())
    _follow(read({name.strip().lower(): value.strip() for name, _, value in pairs}, body))


def _functiongraph(data: bytes) -> None:
    unwrapped = unwrap(read_payload(data), served=SERVED)
    _follow(tuple(unwrapped.events))


def _list(data: bytes) -> None:
    read_first_id(data)
    services: tuple[ImageService, ...] = (Ims(), Glance())
    for service in services:
        page = service.read_page(Answer(status=200, body=data), service.list_shares("pending")[0])
        for row in page.rows.values():
            read_row(row, project_id="receiver", status="pending").complete(full_ecs=None)


def _error(data: bytes) -> None:
    status, _, body = data.partition(b" ")
    check(Answer(status=int(status) if status.isdigit() and len(status) < 5 else 400, body=body))


def _answered(reader: Callable[[Answer], Any]) -> Callable[[bytes], None]:
    def feed(data: bytes) -> None:
        reader(Answer(status=200, body=data))

    return feed


def _token(data: bytes) -> None:
    read_token(201, {"X-Subject-Token": "t"}, data, account=ACCOUNT, now=NOW)


def _policy(data: bytes) -> None:
    load(data.decode(errors="replace"))


READERS: Mapping[str, Callable[[bytes], None]] = {
    "structured": _structured,
    "batched": _batched,
    "binary": _binary,
    "functiongraph": _functiongraph,
    "list": _list,
    "members_call": _answered(Ims().read_settled),
    "job": _answered(ims.read_job),
    "member": _answered(read_member),
    "image": _answered(lambda answer: glance.read_image(answer, IMAGE, project_id="receiver")),
    "vaults": _answered(cbr.read_vaults),
    "servers": _answered(nova.read_servers),
    "error": _error,
    "token": _token,
    "policy": _policy,
}
