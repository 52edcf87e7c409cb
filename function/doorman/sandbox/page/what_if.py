"""Says what another policy would do: its faults with their places, and how each share would be decided, and why."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from doorman.cloud.api.images import read_row
from doorman.models import Share
from doorman.policy.decision import Decision, decide_shares
from doorman.policy.document.faults import BrokenFile
from doorman.policy.policy import Policy, compile_policy, load_file
from doorman.policy.tools.diff import compare
from doorman.policy.tools.lint import lint
from doorman.sandbox.images import writer
from doorman.sandbox.state import Cloud

_write = writer(is_whole_told=True)


def read_shares(cloud: Cloud, project_id: str) -> list[Share]:
    """Read what is shared with a project as the product reads it from the cloud's lists."""
    found = []
    for image in cloud.image_store.images.values():
        member = cloud.image_store.members[image.id].get(project_id)
        if member is not None and image.owner != project_id:
            row = read_row(_write(image), project_id=project_id, status=member.status)
            found.append(row.complete(image.full_ecs))
    return found


def try_out(text: str, running: Policy, shares: list[Share]) -> dict[str, Any]:
    """Decide the shares by a policy, beside the one that runs.

    Args:
        text: the policy to try.
        running: that of the functions.

    Returns:
        `faults`, and for a policy without any its `warnings` and `decisions`; `changed` marks what `policy diff` names.
    """
    now = datetime.now(UTC)
    try:
        content, root = load_file(text, file="policy.yaml")
    except BrokenFile as error:
        return {"faults": [asdict(fault) for fault in error.faults], "warnings": [], "decisions": []}
    before, after = (decide_shares(shares, policy, now) for policy in (running, compile_policy(content)))
    ends = {change.share.image_id for change in compare(shares, before, after) if change.is_other_end}
    decisions = [
        {
            "image_id": share.image_id, "name": share.name, "status": share.member_status,
            "before": _word(old), "after": _word(new), "changed": share.image_id in ends,
        }
        for share, old, new in zip(shares, before, after, strict=True)
    ]  # fmt: skip
    warnings = [asdict(each.fault) for each in lint(content, root, today=now.date())]
    return {"faults": [], "warnings": warnings, "decisions": decisions}


def _word(decision: Decision) -> dict[str, Any]:
    return {"decision": decision.action, "rule": decision.rule, "reason": decision.reason, "audit": decision.audit}
