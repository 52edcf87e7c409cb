"""Suggests a first policy: it accepts exactly what is accepted, whatever stands beside it, and explains itself."""

from datetime import UTC, date, datetime
from typing import Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from doorman.models import Share
from doorman.policy.decision import decide
from doorman.policy.policy import compile_policy, load, load_file
from doorman.policy.tools.lint import lint
from doorman.policy.tools.suggest import cases, suggest
from doorman.policy.tools.testing import load as load_cases
from doorman.policy.tools.testing import run
from tests.builders import image_id

TODAY, NOW = date(2026, 11, 5), datetime(2026, 11, 5, 12, tzinfo=UTC)
VAULT = "8f0c3b52-7d0e-4b8e-9a55-0d6f0a3f3c11"
OWNERS = [f"{number:032x}" for number in range(1, 4)]
NAMES = [
    "golden-1",
    "golden-2",
    "golden-ubuntu 22.04",
    "base_x",
    "*odd*",
    "[a]",
    "",
    None,
    "x" * 256,
    "caf\u00e9",
    "true",
]
FACTS = st.fixed_dictionaries(
    {
        "owner": st.sampled_from(OWNERS),
        "project_id": st.sampled_from(["c" * 32, "d" * 32]),
        "name": st.sampled_from(NAMES),
        "member_status": st.sampled_from(["accepted", "pending", "rejected", None]),
        "full_ecs": st.sampled_from([True, False, False, None]),
    }
)


@settings(max_examples=60)
@given(st.lists(FACTS, max_size=12), st.integers(1, 6))
def test_exactly_what_is_accepted_would_be_accepted(facts: list[dict[str, object]], images: int) -> None:
    """Also where one image is accepted in one of two projects; the policy has no fault, and passes its own cases."""
    unique = {(number % images, each["project_id"]): each for number, each in enumerate(facts)}
    owners = {number: each["owner"] for (number, _), each in unique.items()}
    names = {number: each["name"] for (number, _), each in unique.items()}
    shares = [
        Share(**{**each, "image_id": image_id(number), "owner": owners[number], "name": names[number]})  # type: ignore[arg-type]
        for (number, _), each in unique.items()
    ]
    text = suggest(shares, vaults=[VAULT], today=TODAY)
    content, root = load_file(text)
    policy = compile_policy(content)
    accepted = [decide(share, policy, now=NOW).action == "accept" for share in shares]
    assert accepted == [share.member_status == "accepted" for share in shares]
    lints = [each.fault.message for each in lint(content, root, today=TODAY)]
    assert [each for each in lints if "audit mode" not in each] == []
    if any(accepted):
        results = list(run(*load_cases(cases(shares), file="c"), policy, now=NOW))
        assert [each.misses for each in results] == [()] * sum(accepted)


def test_it_explains_itself() -> None:
    """Owners of the same names make a group; what was left to a person is named, and nobody is called trustworthy."""
    shares = [
        Share(
            image_id=image_id(number),
            project_id="c" * 32,
            owner=OWNERS[number % 2],
            name=f"golden-{number}",
            member_status="accepted",
            full_ecs=number > 1,
        )
        for number in range(4)
    ]
    shares += [
        Share(image_id=image_id(number), project_id="c" * 32, owner=f"{number:032x}", name="scratch", full_ecs=None)
        for number in range(100, 122)
    ]
    shares.append(Share(image_id=image_id(9), project_id="c" * 32, member_status="accepted", full_ecs=None))
    lines = suggest(shares, vaults=[], today=TODAY).splitlines()
    assert lines[:3] == [
        "# A first policy, suggested on 2026-11-05 from 5 accepted, 22 pending and",
        "# 0 rejected shares. It accepts what is accepted today, and nothing else that is there.",
        "# Nobody knows why a share was accepted: it may have been a blind click. Read each rule before you trust it.",
    ]
    assert "#   and those of 2 owners more" in lines
    assert "# 1 accepted shares have no owner that the cloud tells: no rule can accept them." in lines
    assert lines[lines.index("groups:  # owners whose accepted images have the same names") :] == [
        "groups:  # owners whose accepted images have the same names",
        "  golden-images:",
        f"    - {OWNERS[0]}",
        f"    - {OWNERS[1]}",
        "",
        "rules:",
        "  - name: golden-images",
        "    owners: [group:golden-images]",
        "    images:",
        "      names: [golden-*]",
        "    decision: accept",
        "",
        "vaults: []  # full-ECS images are accepted today: name a vault for them, or they are held",
    ]


def test_nothing_accepted_is_a_policy_without_rules() -> None:
    """The empty page is a policy, too."""
    assert load(suggest([], vaults=[], today=TODAY)).rules == ()


def test_the_narrowest_rule_that_fits_is_written() -> None:
    """A name that begins another share is written whole; one that is refused elsewhere, or none, goes by its ID."""
    here, there, other = "c" * 32, "d" * 32, "e" * 32
    told: list[tuple[int, str, str | None, Literal["pending", "accepted", "rejected"], bool | None]] = [
        (1, here, "golden-1", "accepted", False),
        (2, here, "golden-*", "pending", None),
        (3, here, "scratch", "rejected", None),
        (4, here, "scratch", "accepted", False),
        (5, here, "base-1", "accepted", True),
        (5, there, "base-1", "pending", True),
        (6, there, "base-2", "accepted", True),
        (7, here, None, "accepted", False),
        (5, other, "base-1", "pending", True),
    ]
    shares = [
        Share(image_id=image_id(n), project_id=project, owner=OWNERS[0], name=name, member_status=status, full_ecs=full)
        for n, project, name, status, full in told
    ]
    lines = suggest(shares, vaults=[VAULT], today=TODAY).splitlines()
    owner, accept = f"    owners: [{OWNERS[0]}]", "    decision: accept"
    assert lines[lines.index("rules:") :] == [
        "rules:",
        "  - name: base-images",
        owner,
        f"    projects: [{here}]  # elsewhere not all of these images are accepted",
        "    images:",
        "      names: [base-*, golden-1]",
        accept,
        "  - name: single-images",
        owner,
        f"    projects: [{here}]  # elsewhere not all of these images are accepted",
        "    images:",
        "      # no pattern tells these from what is not accepted; better ask their owner for other names",
        f"      ids: [{image_id(4)}, {image_id(7)}]",
        accept,
        "  - name: base-images-2",
        owner,
        f"    projects: [{there}]  # elsewhere not all of these images are accepted",
        "    images:",
        "      names: [base-2]",
        accept,
        "",
        "vaults:  # no cloud tells which vault took an image: of all that are there, the one with the most room",
        f"  - candidates: [{VAULT}]",
    ]
