"""Asks `doorman policy` its questions: what it prints and the exit code, on files as people have them."""

import json
from pathlib import Path

import pytest

from doorman.entrypoints.cli.main import main
from doorman.policy.tools.json_schema import schema
from doorman.sandbox.state import Cloud
from tests.entrypoints.cli.command import Command

ROOT = Path(__file__).parents[3]
OWNER, OTHER, PROJECT = "a" * 32, "b" * 32, "c" * 32
SOUND = f"version: 1\nrules:\n  - {{name: golden, owners: [{OWNER}], decision: accept}}\n"
IMAGE = "6596628c-42d4-4ff1-8660-8ea5ae61f243"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, without a policy in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DOORMAN_POLICY", raising=False)
    return tmp_path


def test_check_says_that_a_policy_is_sound(folder: Path, command: Command) -> None:
    """Exit 0, and one line with what it holds."""
    (folder / "p.yaml").write_text(SOUND)
    code, lines = command.ask("policy check p.yaml")
    assert (code, lines) == (
        0,
        ["p.yaml: no faults (rules: 1, exceptions: 0, vault entries: 0, mode: enforce, digest: 34a608b0e0c9adf9)"],
    )


def test_check_prints_every_fault_of_every_file(folder: Path, command: Command) -> None:
    """Exit 1, one line a fault, `FILE:LINE:COLUMN: what is wrong`, on stdout."""
    (folder / "a.yaml").write_text("version: 2\ndefualt: hold\n")
    (folder / "b.yaml").write_text(SOUND.replace("accept", "maybe"))
    assert command.ask("policy check a.yaml b.yaml") == (
        1,
        [
            "a.yaml:1:10: `version` must be the number 1, not the number 2",
            "a.yaml:2:1: `defualt` is not a key of the policy: did you mean `default`?",
            'b.yaml:3:74: `decision` must be `accept`, `reject` or `hold`, not the text "maybe"',
        ],
    )


def test_check_fails_for_a_rule_that_can_never_match(folder: Path, command: Command) -> None:
    """The file promises what it does not do."""
    (folder / "p.yaml").write_text(SOUND + "  - {name: ban, owners: [" + OWNER + "], decision: reject}\n")
    line = (
        "p.yaml:4:12: `ban` can never match, the rule `golden` in line 3 takes all its shares: move it up, or remove it"
    )
    assert command.ask("policy check p.yaml") == (1, [line])


def test_check_warns_of_the_rest(folder: Path, command: Command) -> None:
    """Untidy or late is no fault, unless one asks for it."""
    (folder / "p.yaml").write_text(SOUND + f"groups: {{us: [{OTHER}]}}\n")
    line = "p.yaml:4:10: warning: nothing uses the group `us`: remove it, or name it as `group:us`"
    code, lines = command.ask("policy check p.yaml")
    assert (code, lines[0], len(lines)) == (0, line, 2)
    assert command.ask("policy check --strict p.yaml") == (1, [line])


def test_check_names_a_place_that_is_not_utf8(folder: Path, command: Command) -> None:
    """By line and column of the byte."""
    (folder / "p.yaml").write_bytes(b"version: 1\n# h\xe4uschen\n")
    assert command.ask("policy check p.yaml") == (1, ["p.yaml:2:4: this is not UTF-8: save the file as UTF-8"])


def test_a_file_that_is_not_there_is_wrong_usage(folder: Path, command: Command) -> None:
    """Exit 2, on stderr."""
    assert folder.is_dir()
    found = command("policy", "check", "nowhere.yaml", code=2)
    assert found == ("", "doorman: nowhere.yaml: cannot be read: No such file or directory\n")


def test_check_knows_the_image_service(folder: Path, monkeypatch: pytest.MonkeyPatch, command: Command) -> None:
    """What never accepts anything there is a fault; an unknown service is wrong usage."""
    (folder / "p.yaml").write_text(SOUND.replace("decision", "images: {kind: server}, decision"))
    assert command.ask("policy check p.yaml")[0] == 0
    monkeypatch.setenv("DOORMAN_API", "glance")
    code, lines = command.ask("policy check p.yaml")
    text = "no rule can accept anything on plain OpenStack (Glance): see the warnings, and examples/policy-glance.yaml"
    assert (code, lines[0]) == (1, f"p.yaml:3:5: {text}")
    monkeypatch.setenv("DOORMAN_API", "swift")
    assert main(["policy", "check", "p.yaml"]) == 2


def test_check_answers_programs(folder: Path, command: Command) -> None:
    """The same findings as JSON; warnings fail with `--strict` there, too."""
    (folder / "p.yaml").write_text(SOUND + "mode: audit\n")
    code, lines = command.ask("policy check --output json p.yaml")
    found = (code, [(each["level"], each["line"], each["column"]) for each in json.loads("\n".join(lines))])
    assert found == (0, [("warning", 4, 7), ("pass", 1, 1)])
    code, lines = command.ask("policy check --strict --output junit p.yaml")
    assert (code, lines[1]) == (1, '<testsuites tests="2" failures="1">')


def test_test_answers_programs(folder: Path, command: Command) -> None:
    """Each case is a result, also where it passes; so is a rule without a case."""
    (folder / "policy.yaml").write_text(SOUND + f"  - {{name: ban, owners: [{OTHER}], decision: reject}}\n")
    (folder / "a.yaml").write_text(CASES)
    code, lines = command.ask("policy test --output sarif .")
    [run] = json.loads("\n".join(lines))["runs"]
    assert code == 0
    found = [(each["ruleId"], each["kind"], each["level"]) for each in run["results"]]
    assert found == [("one", "pass", "none"), ("coverage", "fail", "warning")]


def fill(cloud: Cloud) -> None:
    """Share 300 images with the served project: of four owners, some accepted, some pending, some rejected."""
    cloud.add_vault("receiver", "8f0c3b52-7d0e-4b8e-9a55-0d6f0a3f3c11")
    owners = [f"{number:032x}" for number in range(1, 5)]
    for number in range(300):
        owner, word = owners[number % 4], ("golden", "base", "scratch")[number % 3]
        image = cloud.add_share(owner, "receiver", name=f"{word}-{number}", min_disk=40)
        if word != "scratch":
            cloud.set_status(image, "receiver", "rejected" if owner == owners[3] else "accepted")


def test_suggest_writes_a_first_policy(
    cloud: Cloud, folder: Path, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    """It accepts what is accepted, nothing else, is sound but for its audit mode, and passes its own cases."""
    monkeypatch.delenv("DOORMAN_POLICY", raising=False)
    monkeypatch.setenv("OS_PROJECT_ID", "receiver")
    fill(cloud)
    assert command.ask("policy suggest --out first") == (0, ["first/policy.yaml: written", "first/cases.yaml: written"])
    code, lines = command.ask("policy check --strict first/policy.yaml")
    assert (code, len(lines)) == (1, 1)
    assert "warning: the whole policy is in audit mode" in lines[0]
    code, lines = command.ask("policy test --require-coverage first")
    assert (code, lines[-1]) == (0, "150 cases, 0 failed, 0 rules without a case")
    code, lines = command.ask("policy suggest")
    assert (code, lines) == (0, (folder / "first/policy.yaml").read_text().splitlines())
    err = command("policy", "suggest", "--out", "first", code=2).err
    assert err == "doorman: first/policy.yaml: is there already, and is not overwritten: name another folder\n"


def test_suggest_takes_a_file_of_shares(folder: Path, command: Command) -> None:
    """Without any cloud."""
    (folder / "shares.yaml").write_text(SHARES.replace("name: golden}", "name: golden, member_status: accepted}"))
    code, lines = command.ask("policy suggest --shares shares.yaml")
    assert code == 0
    assert lines[lines.index("rules:") :] == [
        "rules:",
        "  - name: golden-images",
        f"    owners: [{OWNER}]",
        "    images:",
        "      names: [golden]",
        "    decision: accept",
    ]


def test_live_questions_are_asked_of_the_cloud(
    cloud: Cloud, folder: Path, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    """Owners that never shared, projects that are not served and vaults that are not there are warnings."""
    monkeypatch.setenv("OS_PROJECT_ID", "receiver")
    vault, gone = "8f0c3b52-7d0e-4b8e-9a55-0d6f0a3f3c11", "8f0c3b52-7d0e-4b8e-9a55-0d6f0a3f3c12"
    cloud.add_vault("receiver", vault, name="recovery")
    cloud.add_share(OWNER, "receiver", name="golden-1")
    cloud.add_share(OTHER, "receiver", name="other", status="accepted")
    (folder / "p.yaml").write_text(
        "version: 1\nrules:\n"
        f"  - {{name: golden, owners: [{OWNER}, {PROJECT}], projects: [{PROJECT}], decision: accept}}\n"
        f"vaults:\n  - {{candidates: [{vault}, {gone}]}}\n  - {{vault: recovery}}\n"
    )
    code, lines = command.ask("policy check --live p.yaml")
    asked = "is it the right ID?"
    assert (code, [line.partition("warning: ")[2] for line in lines if asked in line or "that is" in line]) == (
        0,
        [
            f"{PROJECT} never shared anything with the served projects: {asked}",
            f"{PROJECT} is no project that is served: {asked}",
            f"{gone} is no vault of the served projects that takes servers' backups: {asked}",
            f"recovery is no vault of the served projects that takes servers' backups: that is a name, write {vault}",
        ],
    )
    (folder / "old.yaml").write_text(SOUND)
    (folder / "new.yaml").write_text(SOUND.replace(OWNER, OTHER))
    code, lines = command.ask("policy diff --live old.yaml new.yaml")
    assert (code, len(lines), lines[-1].partition(";")[0]) == (1, 3, "2 shares would end differently")


def test_a_project_by_its_name_is_named_by_its_id(
    cloud: Cloud, folder: Path, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    """Where the environment names the served project, the policy's fault is known."""
    project = cloud.add_project(PROJECT, name="eu-de_prod")
    cloud.add_user("named", "secret", [project.id])
    monkeypatch.setenv("OS_USERNAME", "named")
    monkeypatch.delenv("OS_PROJECT_ID")
    monkeypatch.setenv("OS_PROJECT_NAME", "eu-de_prod")
    (folder / "p.yaml").write_text(SOUND.replace("decision", "projects: [eu-de_prod], decision"))
    _, lines = command.ask("policy check --live p.yaml")
    assert any(f"eu-de_prod is no project that is served: that is a name, write {PROJECT}" in line for line in lines)
    monkeypatch.setenv("OS_PASSWORD", "wrong")
    assert main(["policy", "check", "--live", "p.yaml"]) == 1


def test_where_vaults_cannot_be_listed_nothing_is_said_of_them(
    cloud: Cloud, folder: Path, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    """Plain OpenStack has none, and not every user may list them; a project that cannot be read is an error."""
    (folder / "p.yaml").write_text(SOUND + f"vaults: [{{vault: {IMAGE}}}]\n")
    monkeypatch.setenv("OS_CBR_ENDPOINT_OVERRIDE", "http://127.0.0.1:9/none")
    _, lines = command.ask("policy check --live p.yaml")
    assert [line for line in lines if "is no vault" in line] == []
    monkeypatch.setenv("OS_PASSWORD", "wrong")
    assert main(["policy", "check", "--live", "p.yaml"]) == 1


def test_schema_prints_the_schema(command: Command) -> None:
    """As it is committed for editors; `doorman policy schema > docs/policy.schema.json` writes it anew."""
    code, lines = command.ask("policy schema")
    assert (code, json.loads("\n".join(lines))) == (0, schema())
    assert (ROOT / "docs/policy.schema.json").read_text(encoding="utf-8").splitlines() == lines


CASES = "cases:\n  - {case: one, share: {owner: " + OWNER + "}, expect: {decision: accept}}\n"


def test_test_runs_the_sample_cases(monkeypatch: pytest.MonkeyPatch, command: Command) -> None:
    """One line each, all pass, and every rule of the sample policy is reached."""
    monkeypatch.chdir(ROOT)
    code, lines = command.ask("policy test --require-coverage examples/policy-tests")
    assert (code, lines[0], lines[-1]) == (
        0,
        "ok    examples/policy-tests/golden-images.yaml:4: a golden image is accepted",
        "9 cases, 0 failed, 0 rules without a case",
    )
    assert len(lines) == 10


def test_test_shows_what_came_out_instead(folder: Path, command: Command) -> None:
    """Exit 1 where a case fails; the policy beside the cases is taken, and is none of them."""
    (folder / "cases").mkdir()
    (folder / "cases/policy.yaml").write_text(SOUND.replace("accept", "hold"))
    (folder / "cases/a.yml").write_text(CASES)
    assert command.ask("policy test cases") == (
        1,
        [
            "FAIL  cases/a.yml:2: one: decision is hold, expected accept (decided: hold, held_by_rule, rule golden)",
            "1 cases, 1 failed, 0 rules without a case",
        ],
    )


def test_test_names_rules_without_a_case(folder: Path, command: Command) -> None:
    """They are reported, and fail the run where that is asked for."""
    (folder / "cases/deep").mkdir(parents=True)
    (folder / "p.yaml").write_text(SOUND + f"  - {{name: ban, owners: [{OTHER}], decision: reject}}\n")
    (folder / "cases/deep/a.json").write_text(
        json.dumps(
            {
                "policy": "../../p.yaml",
                "cases": [
                    {"case": "one", "share": {"owner": OWNER}, "expect": {"decision": "accept"}},
                    {"case": "two", "share": {"owner": "ccc"}, "expect": {"decision": "hold", "rule": "golden"}},
                ],
            }
        )
    )
    two = "FAIL  cases/deep/a.json:1: two: rule is none, expected golden (decided: hold, owner_not_allowed, rule none)"
    lines = ["ok    cases/deep/a.json:1: one", two, "p.yaml: no case reaches `ban`"]
    assert command.ask("policy test cases") == (1, [*lines, "2 cases, 1 failed, 1 rules without a case"])
    (folder / "cases/deep/a.json").write_text(CASES)
    assert command.ask("policy test cases --policy p.yaml")[0] == 0
    assert command.ask("policy test cases --policy p.yaml --require-coverage")[0] == 1


def test_test_looks_for_the_policy_where_the_functions_do(
    folder: Path, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    """Where neither the case nor its folder has one: DOORMAN_POLICY, else policy.yaml."""
    (folder / "cases").mkdir()
    (folder / "cases/a.yaml").write_text(CASES)
    (folder / "policy.yaml").write_text(SOUND)
    (folder / "other.yaml").write_text(SOUND.replace("accept", "hold"))
    assert command.ask("policy test cases")[0] == 0
    monkeypatch.setenv("DOORMAN_POLICY", "other.yaml")
    assert command.ask("policy test cases")[0] == 1


def test_test_without_cases_is_wrong_usage(folder: Path, command: Command) -> None:
    """An empty folder must not look like success."""
    assert folder.is_dir()
    assert (
        command("policy", "test", ".", code=2).err
        == "doorman: .: no case files here: add a `.yaml` file that begins with `cases:`\n"
    )


def test_diff_of_the_same_policy(folder: Path, command: Command) -> None:
    """Exit 0."""
    (folder / "p.yaml").write_text(SOUND)
    line = "0 made-up shares would end differently; 0 more would end the same, by another rule or reason"
    assert command.ask("policy diff p.yaml p.yaml") == (0, [line])


def test_diff_shows_made_up_shares(folder: Path, command: Command) -> None:
    """Exit 1; each with what the old policy does, and what the new one."""
    (folder / "old.yaml").write_text(SOUND)
    (folder / "new.yaml").write_text(SOUND.replace("version: 1", "version: 1\nmode: audit\nvaults: [{vault: v1}]"))
    code, lines = command.ask("policy diff old.yaml new.yaml")
    golden = f"owner {OWNER}"
    assert code == 1
    assert lines == [
        f"{golden}: accept (golden, allowed_owner) -> audit accept (golden, allowed_owner)",
        f"{golden}, full_ecs true: hold (golden, vault_missing) -> audit accept (golden, allowed_owner, vault v1)",
        "owner any-other-owner: hold (no rule, owner_not_allowed) -> audit hold (no rule, owner_not_allowed)",
        "3 made-up shares would end differently; 0 more would end the same, by another rule or reason",
    ]


SHARES = f"- {{image_id: {IMAGE}, owner: {OWNER}, name: golden}}\n- {{image_id: {IMAGE[:-1]}4, owner: {OWNER}}}\n"


def test_diff_says_where_it_ends(folder: Path, monkeypatch: pytest.MonkeyPatch, command: Command) -> None:
    """Policies too large to be compared in full are no silent answer."""
    monkeypatch.setattr("doorman.policy.tools.diff.MAX_STEPS", 0)
    (folder / "old.yaml").write_text(SOUND)
    (folder / "new.yaml").write_text("version: 1\n")
    _, lines = command.ask("policy diff old.yaml new.yaml")
    cut = "the policies are too large to be compared in full: give --shares FILE, or --live"
    assert lines[0] == cut
    assert command("policy", "diff", "old.yaml", "new.yaml", "--json") == ("[]\n", f"doorman: {cut}\n")


def test_diff_takes_real_shares(folder: Path, command: Command) -> None:
    """A limit counts among those that wait: both of two are held; what is settled is decided as that."""
    (folder / "old.yaml").write_text(SOUND)
    (folder / "new.yaml").write_text(SOUND + "limits: {accepts_per_owner: 1}\n")
    (folder / "shares.yaml").write_text(
        SHARES + f"- {{image_id: {IMAGE[:-1]}5, owner: {OWNER}, member_status: accepted}}\n"
    )
    held = "accept (golden, allowed_owner) -> hold (golden, limit_reached)"
    assert command.ask("policy diff old.yaml new.yaml --shares shares.yaml") == (
        1,
        [
            'limits: {} -> {"accepts_per_owner": 1}',
            f"image {IMAGE}, owner {OWNER}, name golden: {held}",
            f"image {IMAGE[:-1]}4, owner {OWNER}, name unknown: {held}",
            "2 shares would end differently; 0 more would end the same, by another rule or reason",
        ],
    )


def test_diff_for_programs(folder: Path, command: Command) -> None:
    """Every change as JSON, also those that end the same, and what shows in no share."""
    (folder / "old.yaml").write_text(SOUND)
    (folder / "new.yaml").write_text(SOUND.replace("golden", "silver") + "limits: {accepts_per_owner: 9}\n")
    (folder / "shares.yaml").write_text(SHARES.splitlines()[0])
    code, lines = command.ask("policy diff old.yaml new.yaml --shares shares.yaml --json")
    side = {"decision": "accept", "reason": "allowed_owner", "audit": False, "vault": None}
    assert (code, json.loads("\n".join(lines))) == (
        1,
        [
            {"sample": "limits", "share": None, "ends_differently": True, "old": {}, "new": {"accepts_per_owner": 9}},
            {
                "sample": f"image {IMAGE}",
                "share": {"image_id": IMAGE, "project_id": "unknown", "owner": OWNER, "name": "golden"},
                "ends_differently": False,
                "old": {"rule": "golden", **side},
                "new": {"rule": "silver", **side},
            },
        ],
    )


def test_a_policy_that_cannot_be_compared_is_wrong_usage(folder: Path, command: Command) -> None:
    """Its faults are told on stderr."""
    (folder / "p.yaml").write_text("version: 2")
    found = command("policy", "diff", "p.yaml", "p.yaml", code=2)
    assert found == ("", "p.yaml:1:10: `version` must be the number 1, not the number 2\n")
