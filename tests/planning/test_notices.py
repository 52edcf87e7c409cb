"""What people are told: who hears of what, and messages that are text whatever is in them."""
# ruff: noqa: RUF001 - full-width characters are what is tested

import json
from pathlib import Path
from typing import Any

import pytest

from doorman.errors import Rejected
from doorman.events.cloudevents import from_structured
from doorman.models import CloudEvent
from doorman.planning.channels import Channel
from doorman.planning.notices import Message, News, pick, plain, read_news, write_message

TOLD = Path(__file__).parents[2] / "events" / "told"
PROJECT = "7f2a9c4e1b6d4f0e8a3c5d7b9e1f2a4c"
FACTORY = "9c61004714024f9586705d090530f9fa"
NAMES = {FACTORY: "image-factory", PROJECT: "platform"}
OPS = Channel(name="ops", url="json://x")
FAILED = f"""1 failed: still_pending, rule golden-images
of image-factory ({FACTORY}) for platform ({PROJECT})
4e1728fe-656f-561f-baa8-b79a2e887271 golden-silent"""
HOSTILE = {
    "<!channel> <@U024BE7LH> look": "＜！channel＞ ＜＠U024BE7LH＞ look",
    "@here @everyone @room @all": "＠here ＠everyone ＠room ＠all",
    "[golden](https://evil.example/x)": "［golden］(https：／／evil．example／x)",
    "<https://evil.example|golden> www.evil.example": "＜https：／／evil．example｜golden＞ www．evil．example",
    "*bold* _soft_ ~gone~ `code` ```": "＊bold＊ ＿soft＿ ～gone～ ｀code｀ ｀｀｀",
    "# head\n- list\r\n> quote": "＃ head＼n- list＼r＼n＞ quote",
    "<b>x</b><img src=x onerror=y>&amp;": "＜b＞x＜／b＞＜img src=x onerror=y＞＆amp;",
    "gnp.\u202egpj\u2066.exe\u200b": "gnp.＼u202egpj＼u2066．exe＼u200b",
    ":skull: $x^2$ {panel} ||spoiler|| \\o/": "：skull: ＄x^2＄ ｛panel｝ ｜｜spoiler｜｜ ＼o／",
    "\x1b]8;;http://evil\x07x\x1b[31m" + "a" * 200: "＼x1b］8;;http：／／evil＼x07x＼x1b［31m"
    + "a" * 28
    + "... (and 172 characters more)",
    "\U000e0041" * 60: "＼U000e0041" * 6 + "... (and 54 characters more)",
}


def sample(name: str) -> dict[str, Any]:
    """Read a sample of what Doorman tells."""
    event: dict[str, Any] = json.loads((TOLD / f"{name}.json").read_text("utf-8"))
    return event


def told(event: dict[str, Any], **extensions: str) -> list[News]:
    """Read what one event tells."""
    return read_news(from_structured(event | extensions))[1]


def message(*several: list[News], limit: int = 3000) -> Message:
    """Write one message."""
    return write_message([news for some in several for news in some], names=NAMES, limit=limit)


def test_one_message_for_all_that_comes_together() -> None:
    """The most urgent first, grouped; names of groups, the condition that failed, and the command to copy."""
    held = sample("held")
    held["data"]["images"] = held["data"]["images"][:2]
    held["data"]["images"][0]["failed_condition"] = "full_ecs: false, is true"
    one, two = (entry["image_id"] for entry in held["data"]["images"])
    assert message(told(held), told(sample("failed"))) == Message(
        title="Doorman: 1 failed, 2 held",
        body=f"""{FAILED}

1 held: image_not_allowed (full_ecs: false, is true)
of image-factory ({FACTORY}) for platform ({PROJECT})
{one} golden-server
doorman approve {one} --project {PROJECT} --reason TEXT

1 held: owner_not_allowed
of e1d2c3b4a5968778695a4b3c2d1e0f99 for platform ({PROJECT})
{two} mixed-stranger-2
doorman approve {two} --project {PROJECT} --reason TEXT""",
        severity="error",
    )


def test_a_large_group_is_counted() -> None:
    """Of conditions that saw other values the key is told; for many images the command has one word."""
    held = sample("held")
    entries = [entry for entry in held["data"]["images"] if entry["reason"] == "owner_not_allowed"]
    for place, entry in enumerate(entries):
        entry["failed_condition"] = f"names: golden-*, is bad-{place}"
    held["data"]["images"] = entries
    assert message(told(held)).body.splitlines() == [
        "6 held: owner_not_allowed (names)",
        f"of e1d2c3b4a5968778695a4b3c2d1e0f99 for platform ({PROJECT})",
        *(f"{entry['image_id']} {entry['name']}" for entry in entries[:3]),
        "and 3 more",
        f"doorman approve IMAGE... --project {PROJECT} --reason TEXT",
    ]


def test_the_daily_report_says_what_is_new() -> None:
    """Where the row tells when it was shared."""
    report = sample("pending")
    report["data"]["images"] = report["data"]["images"][:2]
    for entry, shared in zip(report["data"]["images"], ("2026-11-27T01:00:00Z", "2026-11-25T01:00:00Z"), strict=True):
        entry |= {"shared_at": shared, "owner": None, "reason": "vault_missing"}
    one, two = (entry["image_id"] for entry in report["data"]["images"])
    assert message(told(report, daily="true")) == Message(
        title="Doorman: 2 waiting (1 of them new)",
        body=f"""2 waiting: vault_missing
of an unknown owner for platform ({PROJECT})
{one} golden-server
{two} mixed-stranger-2
doorman approve {one} {two} --project {PROJECT} --vault VAULT --reason TEXT""",
        severity="action",
    )


def test_a_project_that_cannot_be_read_is_told() -> None:
    """As an error, without any share, whoever its shares may be of."""
    report = sample("pending")
    report["data"] |= {"images": [], "error": "the cloud denied the image list"}
    found = pick(OPS.model_copy(update={"owners": ["somebody"]}), told(report, daily="true"))
    assert message(found) == Message(
        title="Doorman: a project could not be read",
        body=f"project platform ({PROJECT}): the cloud denied the image list",
        severity="error",
    )


def test_a_long_message_is_cut_with_a_count() -> None:
    """Whole groups are left out, so that no command is cut in two."""
    groups = [told(sample("failed")), told(sample("held")), told(sample("skipped"))]
    whole, cut = message(*groups), message(*groups, limit=300)
    assert cut.title == whole.title == "Doorman: 1 failed, 9 held, 3 skipped"
    assert cut.body == f"{FAILED}\n\nand 5 more groups of shares, see: doorman pending"
    assert message(*groups, limit=100).body == "and 6 more groups of shares, see: doorman pending"


@pytest.mark.parametrize(("name", "shown"), HOSTILE.items())
def test_hostile_names_arrive_as_text(name: str, shown: str) -> None:
    """No markup, mention, link, emoji, end of line or change of direction of any service is left in them."""
    assert plain(name) == shown
    failed = sample("failed")
    failed["data"]["images"][0] |= {"name": name, "owner": name[:64], "error_code": name, "rule": name}
    body = message(told(failed)).body
    assert body.splitlines()[2] == f"4e1728fe-656f-561f-baa8-b79a2e887271 {shown}"
    assert len(body.splitlines()) == 3
    assert not set("@<>[]{}*~`|#\\&!/$") & set(body)


def test_what_is_usual_in_names_stays_as_it_is() -> None:
    """So that they can be searched for."""
    for name in ("golden-ubuntu-22.04", "Windows Server 2022 (core), 64bit", "a_b_c+d=e", "größe 7.9"):
        assert plain(name) == name


def test_at_once_or_once_a_day() -> None:
    """Failed and held come at once, waiting and drifted in the daily report alone, silence where nothing waits."""
    drifted = sample("rejected") | {"type": "dev.doorman.share.drifted.v1"}
    at_once = [told(sample("failed")), told(sample("held"))]
    assert [pick(OPS, news) for news in at_once] == at_once
    for event in (sample("pending"), drifted):
        assert pick(OPS, told(event)) == []
        assert pick(OPS, told(event, daily="true")) == told(event, daily="true") != []
    assert pick(OPS, told(sample("accepted"))) == []
    assert pick(OPS, told(drifted), is_each=True) == told(drifted)


def test_a_channel_hears_what_it_asks_for() -> None:
    """By type, severity, project and owner; of a batch, the shares of its owners."""
    held, accepted = told(sample("held")), told(sample("accepted"))

    def heard(news: list[News], **asked: list[str]) -> list[News]:
        return pick(OPS.model_copy(update=asked), news)

    assert heard(accepted, types=["accepted"]) == accepted
    assert heard(held, severities=["error"]) == []
    assert heard(held, severities=["action"]) == held
    assert heard(held, projects=["other"]) == []
    some = heard(held, projects=[PROJECT], owners=[FACTORY])
    assert {news.name for news in some} == {"golden-server", "golden-server-1", "golden-server-2"}


def test_what_was_told_is_known_again() -> None:
    """By its key and the time of its row: shared anew it is another thing. A daily report is known by its event."""
    (failed,) = told(sample("failed"))
    assert pick(OPS, [failed], known={failed.mark}) == []
    later = sample("failed")
    later["data"]["images"][0]["settled_at"] = "2026-11-28T11:24:06Z"
    assert pick(OPS, told(later), known={failed.mark}) == told(later)
    report, again = (told(sample("pending"), daily="true", id=day) for day in ("monday", "tuesday"))
    marks = {news.mark for news in report}
    assert [pick(OPS, report, known=marks), pick(OPS, again, known=marks)] == [[], again]


def test_what_tells_people_nothing() -> None:
    """Events that Doorman takes itself, and those of others."""
    assert told(sample("decided")) == []
    assert read_news(CloudEvent(id="1", source="/x", type="com.example")) == (None, [])


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (None, "data: expected a JSON object"),
        ({"project_id": "p"}, "data.job_id: missing"),
        ({"project_id": "p/../x"}, "data.project_id: expected 1 to 64 of A-Z a-z 0-9 _ -"),
    ],
)
def test_wrong_data_is_refused(data: Any, text: str) -> None:
    """By the first field that is wrong: an event is a claim, and commands are made of its IDs."""
    with pytest.raises(Rejected) as caught:
        told(sample("failed") | {"data": data})
    assert str(caught.value) == text


@pytest.mark.parametrize("limit", [400, 900])
def test_a_long_group_hides_no_other(limit: int) -> None:
    """However long a sharer makes names: what is too long by itself loses lines, and the rest is counted."""
    event = sample("held")
    first = event["data"]["images"][0]
    named = [first | {"image_id": f"{n:08x}" + first["image_id"][8:], "name": "\U000e0041" * 255} for n in range(3)]
    several = (told(event | {"data": event["data"] | {"images": named, "project_id": each}}) for each in "ab")
    body = message(*several, limit=limit).body
    assert body.startswith("3 held: ")
    assert body.endswith("and 1 more groups of shares, see: doorman pending" if limit > 400 else "see: doorman pending")
    assert len(body) <= limit


def test_an_emoji_counts_for_two() -> None:
    """As it does where a service counts in UTF-16; one character more, and it would refuse the message."""
    event = sample("held")
    entry = event["data"]["images"][0] | {"name": "\U0001f600" * 60}
    one = told(event | {"data": event["data"] | {"images": [entry]}})
    whole = message(one)
    size = len(f"{whole.title}\r\n{whole.body}".encode("utf-16-le")) // 2
    assert message(one, limit=size) == whole
    assert message(one, limit=size - 1) != whole


def test_a_mark_is_short() -> None:
    """A key is the sender's own: of a long one as much is remembered as ours have."""
    event = sample("held")
    entry = event["data"]["images"][0] | {"key": "k" * 10_000}
    (one,) = told(event | {"data": event["data"] | {"images": [entry]}})
    assert one.mark == f"{'k' * 64} {entry['settled_at'] or ''}"


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"])
def test_a_time_at_the_end_of_all_times(time: str) -> None:
    """A sender's own, of an event and of a share: it takes no other's message with it."""
    event = sample("pending")
    first = event["data"]["images"][0] | {"shared_at": time}
    report = told(event | {"time": time, "data": event["data"] | {"images": [first]}}, daily="true")
    assert message(report, told(sample("failed"))).title == "Doorman: 1 failed, 1 waiting (1 of them new)"
