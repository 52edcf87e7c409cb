"""The file of channels: what it means, and what is said where it is wrong, without a word of a URL."""

import pytest

from doorman.planning.channels import SCHEMES, Channel, load
from doorman.policy.document.faults import BrokenFile
from doorman.policy.policy import load_file

POLICY, _ = load_file("version: 1\ngroups: {makers: [m1, m2], ours: [r1]}\n")
SERVICES = ", ".join(f"`{each}`" for each in SCHEMES)
WORDS = "`failed`, `held`, `pending`, `drifted`, `rejected`, `accepted`, `skipped` or `audited`"
KEYS = "`name`, `url`, `types`, `severities`, `projects`, `owners`"
URL = "`url` must be apprise's URL of a service, or `${NAME}`: the variable that holds it"


def read(text: str, **environ: str) -> tuple[Channel, ...]:
    """Load a file of channels."""
    return load(text, file="channels.yaml", policy=POLICY, environ=environ)


def test_what_a_channel_hears() -> None:
    """Groups stand for their projects, a variable for the URL; what is left out is not asked."""
    text = """
channels:
  - name: ops
    url: ${OPS_URL}
    types: failed
    severities: [error, action]
    projects: [group:ours, r2]
    owners: [group:makers]
  - {name: all, url: 'https://hooks.slack.com/services/T/B/x'}
"""
    ops, everything = read(text, OPS_URL="json://secret")
    expected = Channel(name="ops", url="json://secret", types=["failed"], severities=["error", "action"])
    assert ops == expected.model_copy(update={"projects": {"r1", "r2"}, "owners": {"m1", "m2"}})
    assert everything == Channel(name="all", url="https://hooks.slack.com/services/T/B/x")
    assert everything.types == ["failed", "held", "pending", "drifted"]
    assert "secret" not in repr(ops)


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("", ["1:1: the file must be a mapping that begins with `channels:`, not nothing"]),
        (
            "{}",
            ["1:1: the file needs `channels`: add `channels:` with a list of channels, each beginning with `- name:`"],
        ),
        (
            "channels: []",
            ["1:11: `channels` must be a list of channels, each beginning with `- name:`, not an empty list"],
        ),
        (
            "channels: [{name: a b, url: 'json://s3cret'}]",
            ['1:19: `name` must be a name of 1 to 64 of `A-Z a-z 0-9 _ -`, such as `ops`, not the text "a b"'],
        ),
        (
            "channels:\n- {name: a, url: 'exec://s3cret'}\n- {name: a, url: 'json://s3cret'}",
            [f"2:18: {URL}; the services are {SERVICES}", "3:10: the name is taken in line 2: give each its own"],
        ),
        (
            "channels: [{name: a, url: '${NONE}', owners: [group:maker]}]",
            [
                "1:27: the variable in `${NONE}` is not set: set it to apprise's URL of a service",
                "1:47: there is no group `maker`: did you mean `group:makers`?",
            ],
        ),
        ("channels: [{name: a, url: [json://s3cret]}]", [f"1:27: {URL}"]),
        ("channels: [{name: a, url: 5}]", [f"1:27: {URL}"]),
        ("channels: ['url:slack://s3cret']", ["1:12: a URL has no place here: write it as `url: ...`"]),
        (
            "channels: [{name: a, url: 'json://x', types: [held, 'json://s3cret', hold]}]",
            [
                "1:53: a URL has no place here: write it as `url: ...`",
                f'1:70: an entry of `types` must be {WORDS}, not the text "hold"; did you mean `held`?',
            ],
        ),
        (
            "channels: [{name: a, url: 'json://x', 'json://s3cret': x, kinds: held}]",
            [
                "1:39: a URL is no key: write `url:`, a space, and the URL",
                f"1:59: `kinds` is not a key of a channel: the keys are {KEYS}",
            ],
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, faults: list[str]) -> None:
    """All at once; never the URL."""
    with pytest.raises(BrokenFile) as caught:
        read(text)
    assert str(caught.value).split("\n") == [f"channels.yaml:{fault}" for fault in faults]
    assert "s3cret" not in str(caught.value)
