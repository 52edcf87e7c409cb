"""Sends messages to people by apprise, which knows their services: chats, mail, pagers.

The only room that knows apprise, an extra. Each channel speaks in one thread of its own, for a bounded time: apprise's
are few, and shared. It keeps quiet: its log, like its errors, may quote a URL, and that is a secret.
"""

import asyncio
import logging
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Thread
from typing import TYPE_CHECKING, Final

from doorman.errors import Misconfigured, Unavailable
from doorman.planning.channels import SCHEMES, Channel, load
from doorman.planning.notices import Message
from doorman.policy.schema import PolicyFile

if TYPE_CHECKING:
    from apprise import NotifyBase

INSTALL: Final = "pip install 'doorman-image-shares[notify]'; the image: requirements-notify.txt"

TIMEOUT: Final = 20.0
"""Seconds for one message, with the pauses that a service asks for."""

LONGEST: Final = 3000
"""Characters of one message at most, also where a service takes more: it is to be read."""

_PARAGRAPHS: Final = frozenset({"workflow", "workflows"})
"""Teams' cards join lines; only an empty one between them keeps them apart."""

_TYPES: Final = {"info": "info", "action": "warning", "error": "failure"}


@dataclass(slots=True, eq=False)
class Service:
    """What takes the messages of one channel, up to a limit in characters.

    Attributes:
        timeout: seconds for one message.
        latest: what became of the last message; not done as long as its thread runs, also when nobody waits any more.
    """

    channel: Channel
    plugin: "NotifyBase"
    limit: int
    line_end: str = "\n"
    timeout: float = TIMEOUT
    latest: "Future[bool] | None" = field(default=None, repr=False)

    async def send(self, message: Message) -> None:
        """Send one message.

        Raises:
            Unavailable: the service did not take it. Apprise does not say whether it ever will, so a retry may help.
        """
        if self.latest and not self.latest.done():
            raise Unavailable(f"channel {self.channel.name}: the service is still busy with an earlier message")
        self.latest = Future()
        self.latest.set_running_or_notify_cancel()  # who stops waiting does not end it
        # Not of a pool, which a service that never ends its answers would take from all; and our end waits for none.
        Thread(target=self._answer, args=(message, self.latest), daemon=True).start()
        try:
            is_taken = await asyncio.wait_for(asyncio.wrap_future(self.latest), self.timeout)
        except TimeoutError:
            raise Unavailable(f"channel {self.channel.name}: no end within {self.timeout:g} s") from None
        except Exception as error:  # noqa: BLE001 - whatever a plugin raises; its text may quote the URL
            raise Unavailable(f"channel {self.channel.name}: not sent ({type(error).__name__})") from None
        if not is_taken:
            raise Unavailable(f"channel {self.channel.name}: the service did not take the message")

    def _answer(self, message: Message, answered: "Future[bool]") -> None:
        try:
            answered.set_result(self._send(message))
        except Exception as error:  # noqa: BLE001 - told to who waits
            answered.set_exception(error)

    def _send(self, message: Message) -> bool:
        from apprise import Apprise, NotifyFormat  # noqa: PLC0415 - an extra

        # Our text means nothing to any markup; escaped for Markdown, some services' people could not copy its commands.
        is_markdown = self.plugin.resolve_format(NotifyFormat.TEXT) == NotifyFormat.MARKDOWN
        sender = Apprise(self.plugin, asset=self.plugin.asset)
        return bool(
            sender.notify(
                title=message.title,
                body=message.body.replace("\n", self.line_end),
                notify_type=_TYPES[message.severity],
                body_format=None if is_markdown else NotifyFormat.TEXT,
            )
        )


def open_service(channel: Channel) -> Service:
    """Make ready to send to a channel; nobody is called yet.

    Raises:
        Misconfigured: apprise is missing, or does not know such a URL; the text does not show it.
    """
    try:
        from apprise import Apprise, AppriseAsset  # noqa: PLC0415 - an extra, and slow
        from apprise.plugins import url_to_dict  # noqa: PLC0415 - likewise
    except ImportError as error:
        raise Misconfigured(f"DOORMAN_CHANNELS: needs apprise: {INSTALL}") from error
    logging.getLogger("apprise").disabled = True
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    asset = AppriseAsset(
        app_id="Doorman", app_desc="Doorman", http_redirects=False, service_timeout=0, image_url_mask=""
    )
    parts = url_to_dict(channel.url)  # type: ignore[no-untyped-call]  # theirs
    # An https address may be one that apprise knows as a service's own, but of no service beyond ours.
    is_known = parts is not None and parts["schema"] in SCHEMES
    plugin = Apprise.instantiate(parts, asset=asset) if is_known else None
    if plugin is None:
        raise Misconfigured(f"DOORMAN_CHANNELS: channel {channel.name}: apprise does not know this URL of a service")
    # A tenth is left for what becomes longer on its way, such as ends of lines.
    limit = min(LONGEST, plugin.body_maxlen * 9 // 10)
    line_end = "\n\n" if parts["schema"] in _PARAGRAPHS else "\n"
    return Service(channel, plugin, limit=limit, line_end=line_end)


def open_channels(text: str, *, file: str, policy: PolicyFile, environ: Mapping[str, str]) -> dict[str, Service]:
    """Make ready to send to the channels of a file, by their names.

    Args:
        text: the file's content. file: its name, for messages.
        policy: whose groups it may name.
        environ: the variables that it may name.

    Raises:
        Misconfigured: the file is wrong, or one of its channels cannot be opened.
    """
    channels = load(text, file=file, policy=policy, environ=environ)
    return {channel.name: open_service(channel) for channel in channels}
