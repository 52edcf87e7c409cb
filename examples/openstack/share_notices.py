"""Tells the receivers of shares at once: Glance's notifications become notices for Doorman. A sample: make it yours.

Glance sends them where its configuration has a driver; this listens to the same queue as a consumer of its own:

    [oslo_messaging_notifications]
    driver = messagingv2
    topics = notifications,doorman          # a topic of its own: others lose nothing

    pip install oslo.messaging
    python share_notices.py rabbit://user:word@rabbit.example.com/ https://doorman.example.com/broker

No secret of the cloud is needed, and nobody has to trust what is sent: Doorman reads each share with its own login.
"""

import argparse
import json
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

EVENTS = r"image\.member\.(create|delete)$"
TOPIC = "doorman"
SECONDS, PAUSE = 30, 5
"""How long the sink may take, and how long it is left alone after a failure."""


def make_notice(publisher_id: str, payload: Mapping[str, Any], metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Write the CloudEvent for one notification; of a share that was taken back there is no time to wait for."""
    is_gone = payload.get("deleted")
    return {
        "specversion": "1.0",
        "id": str(metadata["message_id"]),
        "source": f"/glance/{publisher_id}",
        "type": "dev.doorman.share.notified.v1",
        **({} if is_gone else {"time": payload["created_at"]}),
        "datacontenttype": "application/json",
        "data": {"project_id": payload["member_id"], "images": [payload["image_id"]]},
    }


def post(sink: str, notice: Mapping[str, Any]) -> bool:
    """Post one notice; say whether it is worth another try."""
    headers = {"Content-Type": "application/cloudevents+json"}
    request = urllib.request.Request(sink, json.dumps(notice).encode(), headers)  # noqa: S310 - the operator's own URL
    try:
        with urllib.request.urlopen(request, timeout=SECONDS):  # noqa: S310 - likewise
            return False
    except urllib.error.HTTPError as error:
        sys.stderr.write(f"{notice['id']}: the sink answers {error.code}\n")
        return error.code == 429 or error.code >= 500  # noqa: PLR2004 - too many requests, not now
    except OSError as error:
        sys.stderr.write(f"{notice['id']}: the sink cannot be reached ({type(error).__name__})\n")
        return True


def main() -> None:
    """Listen until the process is told to end."""
    import oslo_messaging  # noqa: PLC0415 - the rest needs nothing but Python
    from oslo_config import cfg  # noqa: PLC0415 - likewise

    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("transport", help="Glance's transport_url")
    parser.add_argument("sink", help="URL of the receivers' broker, or of the function triage")
    parser.add_argument("--receivers", help="IDs of the projects served behind the sink, comma-separated; else all")
    words = parser.parse_args()
    receivers = (words.receivers or "").split(",")

    class Endpoint:
        filter_rule = oslo_messaging.NotificationFilter(event_type=EVENTS)

        def info(self, _context: Any, publisher_id: str, _event_type: str, payload: Any, metadata: Any) -> Any:
            result = oslo_messaging.NotificationResult
            if words.receivers and payload["member_id"] not in receivers:
                return result.HANDLED
            if not post(words.sink, make_notice(publisher_id, payload, metadata)):
                return result.HANDLED
            time.sleep(PAUSE)
            return result.REQUEUE

    transport = oslo_messaging.get_notification_transport(cfg.CONF, url=words.transport)
    targets = [oslo_messaging.Target(topic=TOPIC)]
    listener = oslo_messaging.get_notification_listener(
        transport, targets, [Endpoint()], executor="threading", allow_requeue=True
    )
    listener.start()
    listener.wait()


if __name__ == "__main__":
    main()
