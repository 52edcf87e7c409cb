"""`doorman doctor` on the sandbox: what is well, and for each of many faults the root first, with its remedy."""

import asyncio
import contextlib
import io
import json
import os
import re
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from doorman.entrypoints.cli import doctor
from doorman.entrypoints.cli.main import main
from doorman.planning.diagnosis import Check, Finding, Mark
from doorman.runtime.clock import SystemClock
from doorman.sandbox.serving import serve
from doorman.sandbox.state import Cloud
from tests.builders import GOLDEN, POLICY
from tests.entrypoints.cli.command import Command
from tests.runtime.test_http import Server, server

__all__ = ["server"]

CHOOSING = f"{POLICY}  - candidates: [vault-3, vault-4]\n"
CREDENTIAL = ("OS_APPLICATION_CREDENTIAL_ID", "OS_APPLICATION_CREDENTIAL_SECRET")
FROM_LOGIN = (
    *(Check.LOGIN, Check.CATALOG, Check.SETTLE, Check.LIST, Check.READ, Check.MEMBER_STATUS, Check.LIMIT, Check.NEXT),
    *(Check.HIDDEN, Check.WHOLE, Check.MEMBER_ROW, Check.FACTS, Check.JOBS, Check.WAITING, Check.VAULTS),
    Check.SERVERS,
)
FROM_LIST = tuple(check for check in FROM_LOGIN[4:-2])


@dataclass
class Stage:
    """What a fault is set on."""

    cloud: Cloud
    patch: pytest.MonkeyPatch
    folder: Path
    url: str
    open: contextlib.ExitStack

    def set(self, **variables: str) -> None:
        """Set variables of the environment."""
        for name, value in variables.items():
            self.patch.setenv(name, value)

    def policy(self, text: str) -> None:
        """Write another policy."""
        (self.folder / "policy.yaml").write_text(text)

    def serve(self, answer: Callable[[Request], Response]) -> str:
        """Serve something that answers everything alike."""
        routes = [Route("/{path:path}", answer, methods=["GET", "POST", "CONNECT"])]
        return self.open.enter_context(serve(Starlette(routes=routes)))


ARGUMENTS = Namespace(os_cloud=None, policy=None, project=[])


class SkewedClock(SystemClock):
    """A clock that is an hour late."""

    def now(self) -> datetime:
        """Give the wrong time of day."""
        return super().now() - timedelta(hours=1)


@pytest.fixture
def stage(cloud: Cloud, sink: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Stage]:
    """A cloud with some shares, a sink, and an environment in which all is well."""
    del sink
    for status in ("pending", "pending", "accepted"):
        cloud.add_share(GOLDEN, "receiver", status=status, properties={"__backup_id": ""})
    cloud.add_share(GOLDEN, "receiver", full_ecs=True)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OS_REGION_NAME", "eu-de")
    with contextlib.ExitStack() as stack:
        url = os.environ["OS_AUTH_URL"].removesuffix("/v3")
        yield Stage(cloud, monkeypatch, tmp_path, url, stack)


def examine(*, clock: SystemClock | None = None) -> list[Finding]:
    """Run the command's work."""
    return list(asyncio.run(doctor.look(ARGUMENTS, clock=clock or SystemClock())))


def of(found: list[Finding], mark: Mark) -> list[Check]:
    """Name what is marked so."""
    return [finding.check for finding in found if finding.mark is mark]


def root(found: list[Finding]) -> Finding:
    """Give the first that must be mended; of all that is skipped each follows from something that must be."""
    roots = {f"not looked at: needs the {check}" for check in of(found, Mark.MEND)}
    assert {finding.text for finding in found if finding.mark is Mark.SKIPPED} <= roots
    return next(finding for finding in found if finding.mark is Mark.MEND)


def line(found: list[Finding], check: Check) -> Finding:
    """Give the first finding of this check."""
    return next(finding for finding in found if finding.check is check)


def test_all_is_well(stage: Stage, command: Command) -> None:
    """Every check has its line; nothing is written anywhere, and the sink takes one event of a harmless type."""
    found = [json.loads(line) for line in command("doctor", "--json").out.splitlines()]
    assert {each["check"] for each in found} == set(Check)
    told = {each["check"]: each["mark"] for each in found if each["mark"] != "ok"}
    assert told == {"settle": "unknown", "policy": "note"}
    assert stage.cloud.writes == []
    assert {call.method for call in stage.cloud.calls if not call.path.endswith("/auth/tokens")} == {"GET"}


def test_what_people_see(stage: Stage, taken: list[dict[str, object]], command: Command) -> None:
    """A line for each thing, in the project's part; below a fault its remedy; at the end what to mend first."""
    stage.set(OS_PASSWORD="wrong")
    out = command("doctor", code=1).out
    assert "\nproject receiver\n" in out
    assert "\nmend    login         login refused by Keystone" in out
    assert "\n                      -> check user name, password and the user's domain" in out
    follow = ", ".join(FROM_LOGIN[1:])
    assert f"\n-       not looked at, since they need the login: {follow}\n" in out
    assert "check OS_USERNAME" not in out
    assert out.endswith("\nmend first: login\n")
    assert [event["type"] for event in taken] == ["dev.doorman.doctor.v1"]
    assert "secret" not in out
    stage.set(OS_PASSWORD="secret")
    out = command("doctor").out
    assert "1 project, DOORMAN_API=ims" in out
    assert "UTC, and was made for 24 hours\n" in out
    assert out.endswith("\nnothing to mend; not known: settle\n")


def test_on_a_terminal_no_line_is_wider_than_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    """What goes on stands below its beginning, and nothing is lost."""
    stage.set(OS_PASSWORD="wrong", COLUMNS="60")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    lines = re.sub(r"\x1b\[\d*m", "", command("doctor", code=1).out).splitlines()
    assert [line for line in lines if len(line) > 60] == []
    first = next(place for place, line in enumerate(lines) if line.startswith("-       not looked at"))
    assert lines[first + 1].startswith(f"{'':8}settle, list")
    assert lines[-1] == "mend first: login"


Fault = Callable[[Stage], object]


def sink_answers_ok(stage: Stage) -> None:
    """A sink that has more to say than that it took the event."""
    stage.set(K_SINK=stage.serve(lambda _: PlainTextResponse("OK")))


def proxy(stage: Stage) -> None:
    """A proxy that lets nobody through."""
    stage.set(HTTP_PROXY=stage.serve(lambda _: Response("<html>no</html>", 403, media_type="text/html")))
    stage.set(NO_PROXY=os.environ["K_SINK"].removeprefix("http://"))


def no_project(stage: Stage) -> None:
    """The user has no role in the project any more."""
    for user in stage.cloud.directory.users.values():
        user.roles.pop("receiver", None)


def expire(stage: Stage) -> None:
    """The password has expired."""
    for user in stage.cloud.directory.users.values():
        user.is_expired = True


def refuse(path: str, code: str, status: int = 403) -> Fault:
    """The cloud refuses this path."""
    return lambda stage: stage.cloud.faults.add("status", path=path, code=code, status=status)


def refuse_vaults(stage: Stage) -> None:
    """The policy chooses among vaults, and may not see them."""
    stage.policy(CHOOSING)
    refuse("/vaults", "BackupService.0003")(stage)


async def hang(request: Request) -> Response:
    """Take a minute, and longer, for an event."""
    if request.method == "POST":
        await asyncio.Event().wait()
    return Response()


def slow_sink(stage: Stage) -> None:
    """A sink that is asked for an answer sooner than it gives one."""
    routes = [Route("/", hang, methods=["GET", "POST"])]
    stage.set(K_SINK=stage.open.enter_context(serve(Starlette(routes=routes))), DOORMAN_SINK_TIMEOUT="0.1")


def adjust(**settings: object) -> Fault:
    """The cloud is another one."""

    def change(stage: Stage) -> None:
        for name, value in settings.items():
            setattr(stage.cloud.settings, name, value)

    return change


def adjusted(**variables: str) -> Fault:
    """The environment is another one."""
    return lambda stage: stage.set(**variables)


FAULTS: dict[str, tuple[Fault, Check, str, str, tuple[Check, ...]]] = {
    "wrong settings": (adjusted(DOORMAN_MODE="maybe"), Check.SETTINGS,
        "DOORMAN_MODE", "docs/settings.md", tuple(Check)[1:]),
    "unknown host": (adjusted(OS_AUTH_URL="http://nowhere.invalid/v3"), Check.NAME,
        "nowhere.invalid: unknown name", "check the host", (Check.PROXY, Check.CONNECTION, *FROM_LOGIN)),
    "refused port": (adjusted(OS_AUTH_URL="http://127.0.0.1:9/v3"), Check.CONNECTION,
        "127.0.0.1:9: connection refused", "check scheme, host and port", FROM_LOGIN),
    "no TLS there": (lambda stage: stage.set(OS_AUTH_URL=f"{stage.url.replace('http:', 'https:')}/v3"),
        Check.CONNECTION, "no TLS there", "check scheme", FROM_LOGIN),
    "a proxy": (proxy, Check.PROXY, "it answers 403 itself", "NO_PROXY", (Check.CONNECTION, *FROM_LOGIN)),
    "a dead proxy": (adjusted(HTTP_PROXY="http://127.0.0.1:9", NO_PROXY="nobody"), Check.PROXY,
        "connection refused", "check HTTPS_PROXY", (Check.CONNECTION, *FROM_LOGIN, Check.CONNECTION, Check.SINK)),
    "wrong password": (adjusted(OS_PASSWORD="wrong"), Check.LOGIN,
        "login refused", "check user name, password", FROM_LOGIN[1:]),
    "expired password": (expire, Check.LOGIN,
        "the password has expired, change it", "docs/clouds.md", FROM_LOGIN[1:]),
    "wrong domain": (adjusted(OS_USER_DOMAIN_NAME="Other"), Check.LOGIN,
        "login refused", "OS_USER_DOMAIN_NAME", FROM_LOGIN[1:]),
    "wrong project": (adjusted(OS_PROJECT_ID="no-such-project"), Check.LOGIN,
        "login refused", "OS_PROJECT_ID is wrong", FROM_LOGIN[1:]),
    "missing role": (no_project, Check.LOGIN,
        "login refused", "the user has no role in that project", FROM_LOGIN[1:]),
    "wrong application credential": (
        adjusted(OS_AUTH_TYPE="v3applicationcredential", **dict.fromkeys(CREDENTIAL, "x")), Check.LOGIN,
        "login refused", "When it does not work", FROM_LOGIN[1:]),
    "wrong region": (adjusted(OS_REGION_NAME="eu-nl"), Check.CATALOG,
        "it has it in eu-de", "OS_REGION_NAME", FROM_LOGIN[2:]),
    "no image endpoint": (adjust(image_path=None), Check.CATALOG,
        "no public endpoint of the image service", "OS_REGION_NAME", FROM_LOGIN[2:]),
    "stale version": (adjust(image_path="/v1"), Check.LIST,
        "no image service of the kind ims", "without any version", FROM_LIST),
    "list refused": (refuse("/v2/cloudimages", "IMG.0106"), Check.LIST,
        "grant ims:images:list", "the right to list images", FROM_LIST),
    "read refused": (refuse("/v2/images/[^/]*$", "IMG.0106"), Check.READ,
        "IMG.0106", "grant ims:images:get", (Check.MEMBER_ROW,)),
    "vaults refused": (refuse_vaults, Check.VAULTS,
        "the cloud denied the cbr list", "grant cbr:vaults:list", ()),
    "sink unknown": (adjusted(K_SINK="http://nowhere.invalid/"), Check.NAME,
        "nowhere.invalid", "check the host", (Check.PROXY, Check.CONNECTION, Check.SINK)),
    "sink that answers OK": (sink_answers_ok, Check.SINK,
        "with a body of its own, no event", "202 or 204 without a body", ()),
    "sink that takes a minute": (slow_sink, Check.SINK,
        "no answer to an event", "within 0.1 s (DOORMAN_SINK_TIMEOUT)", ()),
    "policy broken": (lambda stage: stage.policy("version: 1\nrulez: []\nfoo: 1\n"), Check.POLICY,
        "did you mean `rules`?; /", "policy check", (Check.WAITING,)),
    "policy accepts nothing": (lambda stage: stage.policy("version: 1\n"), Check.POLICY,
        "can accept nothing here: none of its rules accepts", "policy suggest", ()),
    "__whole_image ignored": (adjust(honours_whole_image=False), Check.WHOLE,
        "the filter is ignored", "DOORMAN_MODE=audit", ()),
    "limit ignored": (adjust(honours_limit=False), Check.LIMIT,
        "ignored: 3 images on a page of one", "DOORMAN_MODE=audit", ()),
    "job endpoints missing": (refuse("/jobs?/", "APIGW.0101", 404), Check.JOBS,
        "both queries are missing (404, 404)", "jobs cannot be followed", ()),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_fault(stage: Stage, name: str) -> None:
    """The first to mend is the root, with its remedy; what follows from it is marked so, and nothing is written."""
    fault, check, text, fix, follows = FAULTS[name]
    fault(stage)
    found = examine()
    first = root(found)
    assert (first.check, text in first.text, fix in first.fix) == (check, True, True), first
    assert of(found, Mark.SKIPPED) == list(follows)
    assert stage.cloud.writes == []


def test_clock_skew(stage: Stage) -> None:
    """An hour is too much; a login by password bears it, so nothing follows."""
    found = examine(clock=SkewedClock())
    assert (of(found, Mark.MEND), of(found, Mark.SKIPPED)) == ([Check.CLOCK], [])
    assert root(found).text.endswith("s behind the cloud's")


def test_clock_skew_with_signatures(stage: Stage) -> None:
    """A signature with the wrong time is refused: the clock is the root, not the keys."""
    user = next(iter(stage.cloud.directory.users.values()))
    stage.cloud.add_access_key("AK", "SK", user, "receiver")
    stage.set(OS_ACCESS_KEY="AK", OS_SECRET_KEY="SK", OS_AUTH_TYPE="aksk", OS_IMAGE_ENDPOINT_OVERRIDE=stage.url)
    assert of(examine(), Mark.MEND) == []
    stage.cloud.faults.add("status", path="/v2/cloudimages", status=401)
    found = examine(clock=SkewedClock())
    assert of(found, Mark.MEND) == [root(found).check] == [Check.CLOCK]
    assert of(found, Mark.SKIPPED) == [Check.LIST, *FROM_LIST]


@pytest.mark.anyio
async def test_untrusted_certificate(stage: Stage, server: Server) -> None:
    """It says that nobody vouches for it; with its authority named, it says whose it is and until when."""
    stage.set(OS_AUTH_URL=f"{server.url}v3")
    first = root(list(await doctor.look(ARGUMENTS, clock=SystemClock())))
    assert (first.check, "its certificate is not trusted" in first.text) == (Check.CONNECTION, True)
    assert "OS_CACERT" in first.fix
    stage.set(OS_CACERT=str(server.file))
    found = await doctor.look(ARGUMENTS, clock=SystemClock())
    assert "certificate of 127.0.0.1 by 127.0.0.1, until " in line(list(found), Check.CONNECTION).text


def test_plain_openstack_taken_for_another(stage: Stage) -> None:
    """An image service that answers only the native API wants DOORMAN_API=glance; with it all is well."""
    stage.cloud.faults.add("status", path="/v2/cloudimages", status=404)
    first = root(examine())
    assert (first.check, first.fix) == (Check.LIST, "this is plain OpenStack: set DOORMAN_API=glance")
    stage.set(DOORMAN_API="glance")
    found = examine()
    assert of(found, Mark.MEND) == []
    assert {Check.WHOLE, Check.JOBS} & {finding.check for finding in found} == set()
    assert line(found, Check.SETTLE).text == "the role member allows it"


def test_nothing_shared_yet(cloud: Cloud) -> None:
    """What cannot be told without a share says so, and what to do; a reader and no sink are told as well."""
    for user in cloud.directory.users.values():
        user.roles["receiver"] = {"reader"}
    found = examine()
    unknown = (Check.READ, Check.MEMBER_ROW, Check.MEMBER_STATUS, Check.LIMIT, Check.NEXT, Check.HIDDEN, Check.WHOLE)
    assert of(found, Mark.UNKNOWN) == [*unknown, Check.FACTS]
    assert of(found, Mark.MEND) == [Check.SETTLE]
    assert found[-1].text.startswith("none: K_SINK is not set")


def test_services_that_are_optional(stage: Stage) -> None:
    """Vaults and servers that nobody needs are worth a note, wherever they fail."""
    refuse("/vaults", "BackupService.0003")(stage)
    refuse("/servers", "Ecs.0001")(stage)
    assert set(of(examine(), Mark.NOTE)) == {Check.POLICY, Check.VAULTS, Check.SERVERS}
    stage.set(OS_CBR_ENDPOINT_OVERRIDE="http://nowhere.invalid", OS_COMPUTE_ENDPOINT_OVERRIDE="http://127.0.0.1:9")
    found = examine()
    assert set(of(found, Mark.NOTE)) == {Check.POLICY, Check.NAME, Check.CONNECTION}
    assert of(found, Mark.SKIPPED) == [Check.PROXY, Check.CONNECTION, Check.VAULTS, Check.SERVERS]


def test_several_projects(stage: Stage) -> None:
    """Each has its part; a host that both use is looked at once, and an override that differs from the catalog told."""
    stage.set(OS_PROJECT_ID="receiver,second", OS_IMAGE_ENDPOINT_OVERRIDE=stage.url.replace("127.0.0.1", "localhost"))
    found = examine()
    assert [finding.project for finding in found if finding.check is Check.LIST] == ["receiver", "second"]
    assert [finding.project for finding in found if finding.check is Check.CLOCK] == ["receiver", "receiver"]
    notes = [finding.text for finding in found if finding.check is Check.CATALOG]
    assert all("(OS_IMAGE_ENDPOINT_OVERRIDE); the catalog says http://127.0.0.1" in text for text in notes)


def test_sink_of_the_cloud(stage: Stage) -> None:
    """A topic takes the event as a message, or the finding says why not."""
    urn = "urn:smn:eu-de:receiver:told"
    stage.set(K_SINK=f"smn:{urn}", DOORMAN_STRANGE="1")
    found = examine()
    assert (found[1].check, found[1].mark, "DOORMAN_STRANGE" in found[1].text) == (Check.SETTINGS, Mark.NOTE, True)
    assert (found[-1].check, found[-1].mark, "does not take events" in found[-1].text) == (Check.SINK, Mark.MEND, True)
    stage.cloud.add_topic(urn)
    assert examine()[-1].text == "takes events"
    assert [json.loads(each.message)["type"] for each in stage.cloud.topics.published] == ["dev.doorman.doctor.v1"]


def test_an_override_without_a_region(stage: Stage) -> None:
    """Where the catalog has nothing to compare, the settings count alone."""
    stage.set(OS_REGION_NAME="eu-nl", OS_IMAGE_ENDPOINT_OVERRIDE=stage.url)
    assert line(examine(), Check.CATALOG).text == f"image service at {stage.url}, as the settings say"


@pytest.mark.parametrize(("answer", "is_written"), [("y", True), ("n", False)])
def test_record(
    stage: Stage,
    command: Command,
    answer: str,
    is_written: bool,  # noqa: FBT001 - a table
) -> None:
    """What is to be written is shown, and written where a person agrees; the recording holds nothing that is theirs."""
    folder = stage.folder / "deep" / "recorded"
    stage.patch.setattr("sys.stdin", io.StringIO(f"{answer}\n"))
    err = command("doctor", "--record", str(folder)).err
    assert f"answers to {folder}/recording.json? IDs, names and hosts in them are made up [y/N]" in err
    assert (folder / "recording.json").exists() == is_written
    shown = err[: err.rindex("}\n") + 1]
    assert len(json.loads(shown)["answers"]) > 10
    assert not is_written or (folder / "recording.json").read_text() == shown
    assert [word for word in (GOLDEN, "receiver", "secret", "127.0.0.1") if word in shown] == []


def test_record_without_asking(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """Also where nobody can log in; settings that cannot be read leave nothing to write."""
    stage.set(OS_PASSWORD="wrong", OS_PROJECT_ID="", OS_PROJECT_NAME="receiver")
    words = ["doctor", "--record", str(stage.folder / "one"), "--yes"]
    assert main(words) == 1
    recording = json.loads((stage.folder / "one" / "recording.json").read_text())
    assert {each["status"] for each in recording["answers"]} == {300, 401}
    stage.set(DOORMAN_MODE="maybe")
    assert main(["doctor", "--record", str(stage.folder / "two"), "--yes"]) == 1
    assert not (stage.folder / "two").exists()
    err = capsys.readouterr().err
    assert ("wrong" in err, err.endswith("doorman: nothing was answered, so nothing is written\n")) == (False, True)


def test_one_of_several_projects(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """Only those that are named are looked at; one that is not served is a fault of the settings."""
    stage.set(OS_PROJECT_ID="receiver,second")
    assert main(["doctor", "--project", "second"]) == 0
    out = capsys.readouterr().out
    assert ("project second" in out, "project receiver" in out) == (True, False)
    assert main(["doctor", "--project", "third"]) == 1
    assert (
        "mend    settings      --project: third is not served by these settings: name one of receiver, second"
        in capsys.readouterr().out
    )
