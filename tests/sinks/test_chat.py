"""People's services by apprise: what they get, whole, and that no URL of theirs is ever shown."""

import json
import logging
import re
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from apprise.plugins import N_MGR

from doorman.errors import Misconfigured, Unavailable
from doorman.events.cloudevents import from_structured
from doorman.planning.channels import SCHEMES, Channel
from doorman.planning.notices import Message, plain, read_news, write_message
from doorman.sinks.chat import Service, open_service
from tests.planning.test_notices import HOSTILE, NAMES, TOLD
from tests.receiver import Receiver, mailbox, receiving

pytestmark = pytest.mark.anyio

TEAMS = "prod-1.westeurope.logic.azure.com"
HOSTS = ("hooks.slack.com", TEAMS, "chat.googleapis.com", "discord.com", "api.telegram.org", "events.pagerduty.com")
SECRET = "3ccdd113474722377935511fc85d3dd4"
SAMPLES = ["drifted", *sorted(path.stem for path in TOLD.glob("*.json") if path.stem != "decided")]
URLS = {
    "slack": f"slack://T1JJ3T3L2/A1BRTD4JD/{SECRET[:24]}/#ops",
    "slack's own": f"https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/{SECRET[:24]}",
    "teams": f"workflows://{TEAMS}:443/643e69f83c8944/{SECRET}",
    "mattermost": f"mmost://ADDRESS/{SECRET}",
    "rocket": f"rocket://{SECRET[:15]}/{SECRET + SECRET[:16]}@ADDRESS",
    "google": f"gchat://space/{SECRET}/token",
    "discord": f"discord://4174216298/{SECRET * 2}",
    "telegram": "tgram://123456789:abcdefg_hijklmnop/12315544/",
    "pagerduty": f"pagerduty://{SECRET}@{SECRET}",
    "json": f"json://ADDRESS/{SECRET}",
}


@pytest.fixture
def receiver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """Stand in for all services."""
    with receiving(tmp_path, monkeypatch, *HOSTS) as receiver:
        yield receiver


def channel(url: str) -> Channel:
    """Give the channel `ops` with this URL."""
    return Channel(name="ops", url=url)


def opened(service: str, receiver: Receiver) -> Service:
    """Open a service, without the pauses between messages that apprise keeps."""
    found = open_service(channel(URLS[service].replace("ADDRESS", receiver.address)))
    found.plugin.request_rate_per_sec = 0
    return found


def sample(name: str, limit: int) -> Message:
    """Write the message for one sample of what Doorman tells."""
    event = json.loads((TOLD / f"{name.replace('drifted', 'rejected')}.json").read_text("utf-8"))
    _, news = read_news(from_structured(event | {"type": event["type"].replace("rejected", name)}))
    return write_message(news, names=NAMES, limit=limit)


def expected(service: str, message: Message) -> Any:
    """Give what a service gets for a message."""
    title, body = message.title, message.body
    kind = {"info": "info", "action": "warning", "error": "failure"}[message.severity]
    both = f"{title}\r\n{body}"
    color = {"info": "#3AA3E3", "action": "#CACF29", "error": "#A32037"}[message.severity]
    attachment = {"title": title, "text": body, "color": color, "footer": "Doorman", "ts": None}
    block = {"type": "TextBlock", "wrap": True, "style": "default", "id": "body", "text": body.replace("\n", "\n\n")}
    heading = {"style": "heading", "weight": "Bolder", "size": "Large", "id": "title"}
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [{"type": "TextBlock", "text": title, **heading}, block],
        "msteams": {"width": "full"},
    }
    adaptive = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    severity = {"info": "info", "action": "warning", "error": "critical"}[message.severity]
    summary = {"summary": both, "severity": severity, "source": "Apprise", "component": "Notification"}
    alert = {"routing_key": SECRET, "payload": summary, "client": "Doorman", "event_action": "trigger"}
    html = f"<b>{title}</b>\r\n" + re.sub(r"\n+", "\r\n", body)
    quiet = {"disable_notification": False, "disable_web_page_preview": True, "parse_mode": "HTML"}
    return {
        "slack": {"mrkdwn": False, "attachments": [attachment], "channel": "#ops"},
        "slack's own": {"mrkdwn": False, "attachments": [attachment]},
        "teams": {"type": "message", "attachments": [adaptive]},
        "mattermost": {"text": both, "username": "Doorman"},
        "rocket": {"text": both},
        "google": {"text": both},
        "discord": {"tts": False, "wait": True, "content": both},
        "telegram": {"text": html, "chat_id": 12315544, **quiet},
        "pagerduty": alert,
        "json": {"version": "1.0", "title": title, "message": body, "attachments": [], "type": kind},
    }[service]


@pytest.mark.parametrize("service", URLS)
async def test_a_service_gets_each_sample(service: str, receiver: Receiver) -> None:
    """One message each, whole, as that service's own form has it; long ones are cut to what it takes."""
    sender = opened(service, receiver)
    messages = [sample(name, sender.limit) for name in SAMPLES]
    for message in messages:
        await sender.send(message)
    got = [body for _, body in receiver.taken]
    for body in got:
        for attachment in body.get("attachments", ()):
            if "ts" in attachment:
                attachment["ts"] = None  # when it was sent
    assert got == [expected(service, message) for message in messages]


@pytest.mark.parametrize("service", ["slack", "teams", "mattermost", "rocket", "google", "discord", "telegram"])
async def test_hostile_names_reach_a_service_as_text(service: str, receiver: Receiver) -> None:
    """Nothing is escaped for it, since nothing in them means anything to it."""
    sender = opened(service, receiver)
    names = [plain(name) for name in HOSTILE]
    await sender.send(Message(title="Doorman", body="\n".join(names), severity="info"))
    ((_, body),) = receiver.taken
    text = json.dumps(body, ensure_ascii=False)
    assert [name for name in names if name not in text] == []


async def test_mail_gets_each_sample() -> None:
    """As plain text, from whom and to whom its URL says."""
    async with mailbox() as (address, taken):
        url = f"mailto://{address}?smtp=127.0.0.1&from=doorman@example.com&to=ops@example.com"
        sender = open_service(channel(url))
        sender.plugin.request_rate_per_sec = 0
        messages = [sample(name, sender.limit) for name in SAMPLES]
        for message in messages:
            await sender.send(message)
    got = [(whom, mail["Subject"], mail.get_content_type(), mail.get_content().splitlines()) for whom, mail in taken]
    assert got == [(["ops@example.com"], each.title, "text/plain", each.body.splitlines()) for each in messages]
    assert {(mail["From"], mail["To"]) for _, mail in taken} == {("doorman@example.com", "ops@example.com")}


@pytest.mark.parametrize("status", [302, 400, 404, 429, 500])
async def test_a_refusal_is_worth_a_retry(
    status: int, receiver: Receiver, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Apprise says yes or no, not for how long; neither its log nor the error shows the URL."""
    caplog.set_level(logging.DEBUG)
    sender = opened("json", receiver)
    receiver.statuses[:] = [status]
    with pytest.raises(Unavailable) as caught:
        await sender.send(Message(title="t", body="b", severity="info"))
    assert str(caught.value) == "channel ops: the service did not take the message"
    assert len(receiver.taken) == 1
    assert SECRET not in "".join([caplog.text, *capfd.readouterr(), repr(sender), repr(caught.value)])


async def test_what_a_plugin_raises_is_not_shown(receiver: Receiver) -> None:
    """Its text may quote the URL: its kind is told."""
    sender = opened("json", receiver)
    sender.plugin = None  # type: ignore[assignment]  # which raises
    with pytest.raises(Unavailable, match=r"^channel ops: not sent \(\w+\)$") as caught:
        await sender.send(Message(title="t", body="b", severity="info"))
    assert (caught.value.__cause__, caught.value.__suppress_context__) == (None, True)


async def test_a_service_that_does_not_answer_is_given_up() -> None:
    """After the seconds that its URL or apprise allows."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        sender = open_service(channel(f"json://127.0.0.1:{silent.getsockname()[1]}/?rto=0.2"))
        start = time.monotonic()
        with pytest.raises(Unavailable):
            await sender.send(Message(title="t", body="b", severity="info"))
        assert time.monotonic() - start < 4


async def test_a_service_that_never_ends_its_answer_takes_no_other_channel_with_it(receiver: Receiver) -> None:
    """Its one thread goes on, without a message more, as long as the answer does."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        message = Message(title="t", body="b", severity="info")
        stuck = open_service(channel(f"json://127.0.0.1:{silent.getsockname()[1]}/{SECRET}"))
        stuck.timeout = 0.2
        said = []
        for _ in range(50):
            with pytest.raises(Unavailable) as caught:
                await stuck.send(message)
            said.append(str(caught.value))
        busy = "channel ops: the service is still busy with an earlier message"
        assert said == ["channel ops: no end within 0.2 s", *[busy] * 49]
        await opened("json", receiver).send(message)
        assert len(receiver.taken) == 1
    assert stuck.latest is not None
    assert stuck.latest.result(timeout=10) is False  # the answer has broken off
    with pytest.raises(Unavailable, match="did not take"):
        await stuck.send(message)


@pytest.mark.parametrize("url", [f"exec://{SECRET}", f"https://{SECRET}.example/x", "slack://x"])
def test_an_unknown_url_ends_the_start(url: str, caplog: pytest.LogCaptureFixture) -> None:
    """Also an address of a service that apprise knows and Doorman does not take."""
    with pytest.raises(Misconfigured) as caught:
        open_service(channel(url))
    assert str(caught.value) == "DOORMAN_CHANNELS: channel ops: apprise does not know this URL of a service"
    assert SECRET not in caplog.text


def test_without_the_extra_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a machine, and for the image."""
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(Misconfigured) as caught:
        open_service(channel("json://x"))
    install = "pip install 'doorman-image-shares[notify]'; the image: requirements-notify.txt"
    assert str(caught.value) == f"DOORMAN_CHANNELS: needs apprise: {install}"


def test_the_services_are_those_that_apprise_has() -> None:
    """None of them runs a program, writes a file, or talks to this machine."""
    assert [scheme for scheme in SCHEMES if scheme not in N_MGR] == []
    assert {"exec", "syslog", "dbus", "windows", "macosx", "gnome", "file", "blink1"} & set(SCHEMES) == set()
