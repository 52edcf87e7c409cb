"""Asks `doorman policy` its questions: what it prints and the exit code, on files as people have them."""

import json
from pathlib import Path

import pytest

from doorman.entrypoints.cli.main import main
from doorman.policy.tools.json_schema import schema

ROOT = Path(__file__).parents[3]
SOUND = "version: 1\nrules:\n  - {name: golden, owners: [aaa], decision: accept}\n"
IMAGE = "6596628c-42d4-4ff1-8660-8ea5ae61f243"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, without a policy in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DOORMAN_POLICY", raising=False)
    return tmp_path


def ask(words: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str]]:
    """Run the command and return its code and lines; nothing may go to stderr."""
    code = main(words.split())
    out, err = capsys.readouterr()
    assert err == ""
    return code, out.splitlines()


def test_check_says_that_a_policy_is_sound(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 0, and one line with what it holds."""
    (folder / "p.yaml").write_text(SOUND)
    code, lines = ask("policy check p.yaml", capsys)
    assert (code, lines) == (
        0,
        ["p.yaml: no faults (rules: 1, exceptions: 0, vault entries: 0, mode: enforce, digest: 0007587ed47f5f20)"],
    )


def test_check_prints_every_fault_of_every_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 1, one line a fault, `FILE:LINE:COLUMN: what is wrong`, on stdout."""
    (folder / "a.yaml").write_text("version: 2\ndefualt: hold\n")
    (folder / "b.yaml").write_text(SOUND.replace("accept", "maybe"))
    assert ask("policy check a.yaml b.yaml", capsys) == (
        1,
        [
            "a.yaml:1:10: `version` must be the number 1, not the number 2",
            "a.yaml:2:1: `defualt` is not a key of the policy: did you mean `default`?",
            'b.yaml:3:45: `decision` must be `accept`, `reject` or `hold`, not the text "maybe"',
        ],
    )


def test_check_fails_for_a_rule_that_can_never_match(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file promises what it does not do."""
    (folder / "p.yaml").write_text(SOUND + "  - {name: ban, owners: [aaa], decision: reject}\n")
    line = (
        "p.yaml:4:12: `ban` can never match, the rule `golden` in line 3 takes all its shares: move it up, or remove it"
    )
    assert ask("policy check p.yaml", capsys) == (1, [line])


def test_check_warns_of_the_rest(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Untidy or late is no fault, unless one asks for it."""
    (folder / "p.yaml").write_text(SOUND + "groups: {us: [bbb]}\n")
    line = "p.yaml:4:10: warning: nothing uses the group `us`: remove it, or name it as `group:us`"
    code, lines = ask("policy check p.yaml", capsys)
    assert (code, lines[0], len(lines)) == (0, line, 2)
    assert ask("policy check --strict p.yaml", capsys) == (1, [line])


def test_check_names_a_place_that_is_not_utf8(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By line and column of the byte."""
    (folder / "p.yaml").write_bytes(b"version: 1\n# h\xe4uschen\n")
    assert ask("policy check p.yaml", capsys) == (1, ["p.yaml:2:4: this is not UTF-8: save the file as UTF-8"])


def test_a_file_that_is_not_there_is_wrong_usage(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2, on stderr."""
    assert folder.is_dir()
    assert main(["policy", "check", "nowhere.yaml"]) == 2
    assert capsys.readouterr() == ("", "doorman: nowhere.yaml: cannot be read: No such file or directory\n")


def test_schema_prints_the_schema(capsys: pytest.CaptureFixture[str]) -> None:
    """As it is committed for editors, to the letter."""
    code, lines = ask("policy schema", capsys)
    assert (code, json.loads("\n".join(lines))) == (0, schema())
    assert (ROOT / "docs/policy.schema.json").read_text(encoding="utf-8").splitlines() == lines


CASES = "cases:\n  - {case: one, share: {owner: aaa}, expect: {decision: accept}}\n"


def test_test_runs_the_sample_cases(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """One line each, all pass, and every rule of the sample policy is reached."""
    monkeypatch.chdir(ROOT)
    code, lines = ask("policy test --require-coverage examples/policy-tests", capsys)
    assert (code, lines[0], lines[-1]) == (
        0,
        "ok    examples/policy-tests/golden-images.yaml:4: a golden image is accepted",
        "9 cases, 0 failed, 0 rules without a case",
    )
    assert len(lines) == 10


def test_test_shows_what_came_out_instead(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 1 where a case fails; the policy beside the cases is taken, and is none of them."""
    (folder / "cases").mkdir()
    (folder / "cases/policy.yaml").write_text(SOUND.replace("accept", "hold"))
    (folder / "cases/a.yml").write_text(CASES)
    assert ask("policy test cases", capsys) == (
        1,
        [
            "FAIL  cases/a.yml:2: one: decision is hold, expected accept (decided: hold, held_by_rule, rule golden)",
            "1 cases, 1 failed, 0 rules without a case",
        ],
    )


def test_test_names_rules_without_a_case(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They are reported, and fail the run where that is asked for."""
    (folder / "cases/deep").mkdir(parents=True)
    (folder / "p.yaml").write_text(SOUND + "  - {name: ban, owners: [bbb], decision: reject}\n")
    (folder / "cases/deep/a.json").write_text(
        json.dumps(
            {
                "policy": "../../p.yaml",
                "cases": [
                    {"case": "one", "share": {"owner": "aaa"}, "expect": {"decision": "accept"}},
                    {"case": "two", "share": {}, "expect": {"decision": "hold", "rule": "golden"}},
                ],
            }
        )
    )
    two = "FAIL  cases/deep/a.json:1: two: rule is none, expected golden (decided: hold, owner_not_allowed, rule none)"
    lines = ["ok    cases/deep/a.json:1: one", two, "p.yaml: no case reaches `ban`"]
    assert ask("policy test cases", capsys) == (1, [*lines, "2 cases, 1 failed, 1 rules without a case"])
    (folder / "cases/deep/a.json").write_text(CASES)
    assert ask("policy test cases --policy p.yaml", capsys)[0] == 0
    assert ask("policy test cases --policy p.yaml --require-coverage", capsys)[0] == 1


def test_test_looks_for_the_policy_where_the_functions_do(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where neither the case nor its folder has one: DOORMAN_POLICY, else policy.yaml."""
    (folder / "cases").mkdir()
    (folder / "cases/a.yaml").write_text(CASES)
    (folder / "policy.yaml").write_text(SOUND)
    (folder / "other.yaml").write_text(SOUND.replace("accept", "hold"))
    assert ask("policy test cases", capsys)[0] == 0
    monkeypatch.setenv("DOORMAN_POLICY", "other.yaml")
    assert ask("policy test cases", capsys)[0] == 1


def test_test_without_cases_is_wrong_usage(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty folder must not look like success."""
    assert folder.is_dir()
    assert main(["policy", "test", "."]) == 2
    assert capsys.readouterr().err == "doorman: .: no case files here: add a `.yaml` file that begins with `cases:`\n"


def test_diff_of_the_same_policy(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 0."""
    (folder / "p.yaml").write_text(SOUND)
    line = "0 made-up shares would end differently; 0 more would end the same, by another rule or reason"
    assert ask("policy diff p.yaml p.yaml", capsys) == (0, [line])


def test_diff_shows_made_up_shares(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 1; each with what the old policy does, and what the new one."""
    (folder / "old.yaml").write_text(SOUND)
    (folder / "new.yaml").write_text(SOUND.replace("version: 1", "version: 1\nmode: audit\nvaults: [{vault: v1}]"))
    code, lines = ask("policy diff old.yaml new.yaml", capsys)
    golden = "as `golden` wants, owner aaa, name any-name"
    assert code == 1
    assert lines[2:] == [
        f"{golden}: accept (golden, allowed_owner) -> audit accept (golden, allowed_owner)",
        f"{golden}, full-ECS: hold (golden, vault_missing) -> audit accept (golden, allowed_owner, vault v1)",
        "4 made-up shares would end differently; 0 more would end the same, by another rule or reason",
    ]


SHARES = f"- {{image_id: {IMAGE}, owner: aaa, name: golden}}\n- {{image_id: {IMAGE[:-1]}4, owner: aaa}}\n"


def test_diff_takes_real_shares(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A limit counts among them, too: the younger of two is held."""
    (folder / "old.yaml").write_text(SOUND)
    (folder / "new.yaml").write_text(SOUND + "limits: {accepts_per_owner: 1}\n")
    (folder / "shares.yaml").write_text(SHARES)
    younger = f"image {IMAGE[:-1]}4, owner aaa, name unknown"
    assert ask("policy diff old.yaml new.yaml --shares shares.yaml", capsys) == (
        1,
        [
            f"{younger}: accept (golden, allowed_owner) -> hold (golden, limit_reached)",
            "1 shares would end differently; 0 more would end the same, by another rule or reason",
        ],
    )


def test_diff_for_programs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every change as JSON, also those that end the same."""
    (folder / "old.yaml").write_text(SOUND)
    (folder / "new.yaml").write_text(SOUND.replace("golden", "silver"))
    (folder / "shares.yaml").write_text(SHARES.splitlines()[0])
    code, lines = ask("policy diff old.yaml new.yaml --shares shares.yaml --json", capsys)
    side = {"decision": "accept", "reason": "allowed_owner", "audit": False, "vault": None}
    assert (code, json.loads("\n".join(lines))) == (
        0,
        [
            {
                "sample": f"image {IMAGE}",
                "share": {"image_id": IMAGE, "project_id": "unknown", "owner": "aaa", "name": "golden"},
                "ends_differently": False,
                "old": {"rule": "golden", **side},
                "new": {"rule": "silver", **side},
            }
        ],
    )


def test_a_policy_that_cannot_be_compared_is_wrong_usage(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its faults are told on stderr."""
    (folder / "p.yaml").write_text("version: 2")
    assert main(["policy", "diff", "p.yaml", "p.yaml"]) == 2
    assert capsys.readouterr() == ("", "p.yaml:1:10: `version` must be the number 1, not the number 2\n")
