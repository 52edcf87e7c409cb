"""`doorman notify --test`, and `doorman run --notify`: from the command line to what people get."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from doorman.entrypoints.cli.main import main
from doorman.sandbox.state import Cloud
from tests.chain import STRANGER
from tests.entrypoints.cli.command import Command
from tests.receiver import Receiver, receiving

SECRET = "s3cret"


@pytest.fixture
def receiver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cloud: Cloud) -> Iterator[Receiver]:
    """Two channels that lead to one receiver, the URL of the second by a variable."""
    file = tmp_path / "channels.yaml"
    with receiving(tmp_path, monkeypatch) as receiver:
        file.write_text(
            f"channels:\n- {{name: ops, url: 'json://{receiver.address}/ops/{SECRET}'}}\n"
            "- {name: all, url: '${ALL_URL}', types: [held, accepted]}\n"
        )
        monkeypatch.setenv("DOORMAN_CHANNELS", str(file))
        monkeypatch.setenv("ALL_URL", f"json://{receiver.address}/all/{SECRET}")
        yield receiver


def got(receiver: Receiver) -> list[tuple[str, str]]:
    """Give the channel and the title of what came, and forget it."""
    found = [(where.split("/")[1], body["title"]) for where, body in receiver.taken]
    receiver.taken.clear()
    return found


def told(state: Path) -> set[str]:
    """Give the channels of which a state remembers something."""
    return {key.split()[0] for key in json.loads(state.read_text())["keys"] if " " in key}


def test_one_message_to_each_channel(receiver: Receiver, capsys: pytest.CaptureFixture[str]) -> None:
    """What one does not take keeps nothing from the others, and makes the command fail."""
    assert main(["notify", "--test"]) == 0
    assert got(receiver) == [("ops", "Doorman: a test"), ("all", "Doorman: a test")]
    receiver.statuses[:] = [500]
    assert main(["notify", "--test"]) == 1
    assert len(got(receiver)) == 2
    said = capsys.readouterr()
    assert said.out.splitlines() == [
        "channel ops: sent",
        "channel all: sent",
        "channel ops: the service did not take the message",
        "channel all: sent",
    ]
    assert SECRET not in said.out + said.err


def test_a_run_tells_each_channel_what_is_new(
    receiver: Receiver, cloud: Cloud, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A channel that was away hears it at the next run, the other one not again; a gone channel is forgotten."""
    state = tmp_path / "told.json"
    run = ["run", "--notify", "--state", str(state)]
    cloud.add_share(STRANGER, "receiver")
    receiver.statuses[:] = [503]
    assert main(run) == 1
    assert got(receiver) == [("ops", "Doorman: 1 held"), ("all", "Doorman: 1 held")]
    assert "doorman: channel ops: the service did not take the message" in capsys.readouterr().err.splitlines()
    cloud.add_share("golden-owner", "receiver")
    assert [main(run), main(run)] == [0, 0]
    assert got(receiver) == [("ops", "Doorman: 1 held"), ("all", "Doorman: 1 accepted")]
    assert main(["run", "--new", "--state", str(state)]) == 0
    assert told(state) == {"ops", "all"}
    channels = tmp_path / "channels.yaml"
    channels.write_text("".join(channels.read_text().splitlines(keepends=True)[:2]))
    assert main(run) == 0
    assert (got(receiver), told(state)) == ([], {"ops"})


def test_a_run_that_could_not_look_forgets_nothing(
    receiver: Receiver, cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else all would be told anew when the cloud is back."""
    run = ["run", "--notify", "--state", str(tmp_path / "told.json")]
    cloud.add_share(STRANGER, "receiver")
    assert main(run) == 0
    with monkeypatch.context() as away:
        away.setenv("OS_PASSWORD", "wrong")
        assert main(run) == 1
    assert main(run) == 0
    assert got(receiver) == [("ops", "Doorman: 1 held"), ("all", "Doorman: 1 held")]


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize(
    ("words", "variable", "said"),
    [
        (["run", "--notify"], "x", "doorman: --notify: needs --state FILE, which remembers what people were told"),
        (
            ["run", "--notify", "--dry-run"],
            "x",
            "doorman: --notify: a dry run changes nothing that people could be told of",
        ),
        (["notify", "--test"], "", "doorman: DOORMAN_CHANNELS: missing; set it to the file of channels"),
        (["notify", "--test"], "/none", "doorman: /none: cannot be read: No such file or directory"),
    ],
)
def test_what_is_missing_is_named(
    words: list[str], variable: str, said: str, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    """Before anything is done."""
    monkeypatch.setenv("DOORMAN_CHANNELS", variable)
    assert command(*words, code=2).err.splitlines() == [said]


def test_a_wrong_file_is_told_with_line_and_column(
    receiver: Receiver, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And a state of another program is none of ours."""
    file, state = tmp_path / "channels.yaml", tmp_path / "state.json"
    state.write_text("[]")
    assert main(["run", "--notify", "--state", str(state)]) == 2
    said = capsys.readouterr().err
    assert said == f"doorman: --state: {state} is no file of this command: name another one\n"
    file.write_text("channels:\n- name: ops\n")
    assert main(["notify", "--test"]) == 2
    needed = "add `url:` with apprise's URL of a service, or `${NAME}`: the variable that holds it"
    assert capsys.readouterr().err.splitlines() == [f"{file}:2:3: a channel needs `url`: {needed}"]
