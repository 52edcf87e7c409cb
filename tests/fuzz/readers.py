"""Everything that reads foreign bytes, by name: each must give something or say what is wrong, whatever it is fed."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from pydantic_core import to_json

from doorman.cloud.api import cbr, glance, ims, nova
from doorman.cloud.api.base import Answer, ImageService, check, read_member
from doorman.cloud.api.glance import Glance
from doorman.cloud.api.images import read_first_id, read_row
from doorman.cloud.api.ims import Ims
from doorman.cloud.auth.accounts import Account, HandOver, Project
from doorman.cloud.auth.catalog import TYPES, find_endpoint
from doorman.cloud.auth.clouds_yaml import Source, read_entry
from doorman.cloud.auth.environ import Identity
from doorman.cloud.auth.keystone import read_token
from doorman.cloud.auth.logins import read_accounts
from doorman.entrypoints.functiongraph.payload import read_payload, unwrap, unwrap_for_sender
from doorman.entrypoints.http import MAX_TEXT, Reply, answer, work_off
from doorman.errors import DoormanError, Misconfigured, Refused, Rejected
from doorman.events.cloudevents import write
from doorman.events.dead_letters import read_delivery, read_letters
from doorman.events.files import read_message
from doorman.events.messages import EventType
from doorman.events.writing import read_check, read_notice, read_sweep
from doorman.models import CloudEvent, Handled
from doorman.planning.redaction import Redactor
from doorman.policy.policy import load
from doorman.policy.tools import share_file

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


async def _read_all(events: Sequence[CloudEvent]) -> Sequence[Handled]:
    """Read events as the functions do, before they ask a cloud."""
    for event in events:
        if event.type == EventType.NOTIFIED:
            read_notice(event)
        elif event.type == EventType.CHECK:
            read_check(event, now=NOW)
        elif event.type == EventType.SWEEP:
            read_sweep(event)
        with suppress(Rejected):  # what a sweep does not read may be no JSON
            write(event)
    return [Handled() for _ in events]


def _post(headers: Mapping[str, str], body: bytes) -> None:
    _judge(answer(_read_all, headers=headers, body=body, policy_digest=""))


def _judge(replying: Coroutine[Any, Any, Reply]) -> None:
    """Take the answer of a door behind which nobody waits; refused is an error of ours, and 5xx a find."""
    try:
        replying.send(None)
    except StopIteration as end:
        reply: Reply = end.value
    assert reply.status < 500, reply
    assert len(reply.text.encode()) <= MAX_TEXT
    if reply.status >= 400:
        raise Rejected(reply.text)


def _structured(data: bytes) -> None:
    _post({"content-type": "application/cloudevents+json"}, data)


def _batched(data: bytes) -> None:
    _post({"content-type": "application/cloudevents-batch+json"}, data)


def _split(data: bytes) -> tuple[dict[str, str], bytes]:
    head, _, body = data.partition(b"\n\n")
    pairs = (line.partition(":") for line in head.decode("latin-1").splitlines())
    return {name.strip().lower(): value.strip() for name, _, value in pairs}, body


def _binary(data: bytes) -> None:
    _post(*_split(data))


def _file(data: bytes) -> None:
    message = read_message(data)
    _post(message.headers, message.body)


def _functiongraph(data: bytes) -> None:
    payload = read_payload(data)
    with suppress(Rejected):
        unwrap_for_sender(payload, receivers=())
    for event in unwrap(payload, served=SERVED).events:
        _judge(work_off(_read_all, [event], policy_digest=""))


def _letters(data: bytes) -> None:
    for letter in read_letters(data, "file"):
        f"{letter.why} {letter.key} {letter.code} {letter.said}".encode(errors="surrogatepass")
        to_json(letter.revive())


def _delivery(data: bytes) -> None:
    read_delivery(*_split(data))


def _list(data: bytes) -> None:
    read_first_id(data)
    services: tuple[ImageService, ...] = (Ims(), Glance())
    for service in services:
        page = service.read_page(Answer(status=200, body=data), service.list_shares("pending")[0])
        for row in page.rows.values():
            read_row(row, project_id="receiver", status="pending").complete(full_ecs=None)


def _error(data: bytes) -> None:
    status, _, body = data.partition(b" ")
    with suppress(Refused):  # as an error that was read is told
        check(Answer(status=int(status) if status.isdigit() and len(status) < 5 else 400, body=body))


def _answered(reader: Callable[[Answer], Any]) -> Callable[[bytes], None]:
    def feed(data: bytes) -> None:
        reader(Answer(status=200, body=data))

    return feed


def _token(data: bytes) -> None:
    token = read_token(201, {"X-Subject-Token": "t"}, data, account=ACCOUNT, now=NOW)
    for service in TYPES:
        with suppress(Misconfigured):
            find_endpoint(token.catalog, service, Account(project=Project(), login=None, region="eu-de"))


def _clouds_yaml(data: bytes) -> None:
    text = data.decode(errors="replace")
    found = read_entry(text, None, Source(file="clouds.yaml", cloud="otc", fallbacks={}))
    if not isinstance(found, HandOver):  # which openstacksdk reads
        read_accounts(found)


def _recording(data: bytes) -> None:
    Redactor(b"").answer("GET", data.decode(errors="replace"), 200, data)


def _policy(data: bytes) -> None:
    load(data.decode(errors="replace"))


def _shares(data: bytes) -> None:
    share_file.load(data.decode(errors="replace"), file="shares.yaml")


def _image(answer: Answer) -> None:
    glance.read_image(answer, IMAGE, project_id="receiver")
    glance.read_visible(answer)


READERS: Mapping[str, Callable[[bytes], None]] = {
    "structured": _structured,
    "batched": _batched,
    "binary": _binary,
    "file": _file,
    "functiongraph": _functiongraph,
    "letters": _letters,
    "delivery": _delivery,
    "list": _list,
    "members_call": _answered(Ims().read_settled),
    "job": _answered(ims.read_job),
    "member": _answered(read_member),
    "image": _answered(_image),
    "vaults": _answered(cbr.read_vaults),
    "servers": _answered(nova.read_servers),
    "error": _error,
    "token": _token,
    "clouds_yaml": _clouds_yaml,
    "policy": _policy,
    "recording": _recording,
    "shares": _shares,
}
