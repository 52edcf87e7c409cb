"""Compares policies: which shares would end differently, and which made-up shares show what a rule's change does."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings

from doorman.models import Share
from doorman.policy.decision import decide
from doorman.policy.policy import compile_policy, load_file
from doorman.policy.schema import PolicyFile
from doorman.policy.tools.diff import Sample, compare, make_samples
from tests.policy.test_decision import IMAGE, NOW, RULE_LISTS, build_text

DAY = datetime(2026, 11, 5, 12, tzinfo=UTC)
BASE = """
version: 1
rules:
  - {name: golden, owners: [aaa, bbb], images: {names: [golden-*, base], os_type: Linux}, decision: accept}
  - {name: rest, owners: [aaa], decision: reject}
vaults: [{vault: v1}]
"""


def read(text: str) -> PolicyFile:
    """Read a policy as it is written."""
    content, _ = load_file(text)
    return content


def differences(old: str, new: str) -> list[tuple[str, str | None, str | None, bool, str, str, bool]]:
    """Compare by made-up shares: label, owner, name, full-ECS, the two decisions, whether the end is another."""
    files = [read(old), read(new)]
    samples = make_samples(files, now=DAY)
    before, after = ([decide(each.share, compile_policy(file), now=DAY) for each in samples] for file in files)
    return [
        (
            change.sample.label,
            change.sample.share.owner,
            change.sample.share.name,
            change.sample.share.full_ecs is True,
            change.old.action,
            change.new.action,
            change.is_other_end,
        )
        for change in compare(samples, before, after)
    ]


def test_the_same_policy_decides_the_same() -> None:
    """Nothing differs."""
    assert differences(BASE, BASE) == []


def test_each_value_of_a_rule_has_its_own_sample() -> None:
    """A pattern that is gone shows as the images that it let in, plain and full-ECS, of each owner."""
    assert differences(BASE, BASE.replace("golden-*, base", "golden-*")) == [
        ("as `golden` wants", "aaa", "base", False, "accept", "reject", True),
        ("as `golden` wants", "aaa", "base", True, "accept", "reject", True),
        ("as `golden` wants", "bbb", "base", False, "accept", "hold", True),
        ("as `golden` wants", "bbb", "base", True, "accept", "hold", True),
    ]


def test_another_vault_is_another_end() -> None:
    """Only full-ECS images end elsewhere."""
    told = differences(BASE, BASE.replace("v1", "v2"))
    assert told == [
        ("as `golden` wants", owner, name, True, "accept", "accept", True)
        for owner in ("aaa", "bbb")
        for name in ("golden-x", "base")
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [("vault: v1", "candidates: [v1]"), ("vaults: [{vault: v1}]", "vaults: [{tags: {a: b}}]")],
)
def test_another_way_to_choose_a_vault_shows(old: str, new: str) -> None:
    """A choice is compared by what it chooses among; the first vault of one candidate is the same vault."""
    told = differences(BASE, BASE.replace(old, new))
    assert [each[3:] for each in told] == ([] if "candidates" in new else [(True, "accept", "accept", True)] * 4)


def test_another_name_of_a_rule_is_no_other_end() -> None:
    """It is told, since outcomes will name it, but nothing ends differently."""
    told = differences(BASE, BASE.replace("name: rest", "name: others"))
    assert {each[-1] for each in told} == {False}
    assert [each[:4] for each in told] == [
        ("as `rest` wants", "aaa", "any-name", False),
        ("as `rest` wants", "aaa", "any-name", True),
    ]


def test_audit_is_another_end() -> None:
    """What is only told from now on ends differently."""
    assert {each[-1] for each in differences(BASE, BASE.replace("version: 1", "version: 1\nmode: audit"))} == {True}


def test_no_rule_at_all_still_has_samples() -> None:
    """A change of the default shows by a stranger's image."""
    assert differences("version: 1", "version: 1\ndefault: reject") == [
        ("as no rule wants", "any-other-owner", "any-name", False, "hold", "reject", True),
        ("as no rule wants", "any-other-owner", "any-name", True, "hold", "reject", True),
    ]


def test_samples_meet_every_kind_of_condition() -> None:
    """Each condition is met by a share that is made up for it."""
    text = f"""
version: 1
rules:
  - name: all
    owners: [aaa]
    projects: [p]
    images:
      ids: [{IMAGE}]
      names: ["?-[xy]-*"]
      tags: [signed]
      os_type: Windows
      platform: Win*
      os_version: "* 2022"
      architecture: arm64
      kind: iso
      firmware: uefi
      hash: {"a" * 64}
      full_ecs: false
      encrypted: true
      disk_gb: {{at_least: 10}}
      memory_mb: {{at_most: 5}}
      age_days: {{at_least: 2, at_most: 9}}
    decision: accept
"""
    content = read(text)
    made = [each.share for each in make_samples([content], now=DAY) if each.label == "as `all` wants"]
    assert [each.created_at for each in made] == [DAY - timedelta(days=9), DAY - timedelta(days=2)]
    assert made[0] == Share(
        image_id=IMAGE,
        project_id="p",
        owner="aaa",
        name="x-x-x",
        created_at=DAY - timedelta(days=9),
        full_ecs=False,
        kind="iso",
        os_type="Windows",
        os_version="x 2022",
        platform="Winx",
        architecture="arm64",
        min_disk=10,
        min_ram=5,
        tags=frozenset({"signed"}),
        encrypted=True,
        firmware="uefi",
        hash_value="a" * 64,
    )
    assert [decide(each, compile_policy(content), now=DAY).rule for each in made] == ["all", "all"]


@settings(max_examples=100)
@given(RULE_LISTS)
def test_every_generated_rule_has_a_sample_that_meets_it(rules: list[dict[str, object]]) -> None:
    """Nothing is unknown in a made-up share, and each rule's conditions all hold for one of them."""
    content = read(build_text(rules))
    samples = make_samples([content], now=NOW)
    for rule in compile_policy(content).rules:
        assert any(all(each.test(sample.share, NOW) for each in rule.conditions) for sample in samples)


def test_real_shares_are_compared_as_they_are() -> None:
    """Samples may be any shares."""
    samples = [Sample(share=Share(image_id=IMAGE, project_id="p", owner="aaa", full_ecs=None), label="image")]
    policy = compile_policy(read(BASE))
    [decision] = [decide(each.share, policy, now=DAY) for each in samples]
    assert compare(samples, [decision], [decision]) == []
