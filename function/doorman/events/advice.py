"""Tells people what to do next: the command for a held share, the exception that keeps a decision. Texts, no more."""

import json
from collections.abc import Sequence
from datetime import date

from doorman.models import Action, Reason

_NEEDS_VAULT = frozenset({Reason.VAULT_MISSING, Reason.VAULT_FAILED})


def approve_command(image_id: str, *, project_id: str, reason: str) -> str:
    """Write the command that accepts one held share; what is in capitals is the person's to fill in.

    Args:
        reason: why it is held; without a vault a person must name one.
    """
    vault = " --vault VAULT" if reason in _NEEDS_VAULT else ""
    return f"doorman approve {image_id} --project {project_id}{vault} --reason TEXT"


def exception_lines(images: Sequence[str], *, action: Action, reason: str, by: str, expires: date) -> tuple[str, ...]:
    """Write the policy's exception that decides as a person just did, so that it is no drift; `expires` is a guess."""
    return (
        "exceptions:",
        f"  - name: by-hand-{images[0][:8]}",
        f"    images: {{ids: [{', '.join(images)}]}}",
        f"    decision: {action}",
        f"    reason: {json.dumps(reason, ensure_ascii=False)}",
        f"    by: {json.dumps(by, ensure_ascii=False)}",
        f"    expires: {expires.isoformat()}",
    )
