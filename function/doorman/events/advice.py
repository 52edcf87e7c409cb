"""Tells people what to do next: the command for a held share. A text, no more."""

from doorman.models import Reason

NEEDS_VAULT = frozenset({Reason.VAULT_MISSING, Reason.VAULT_FAILED})


def approve_command(image_id: str, *, project_id: str, reason: str) -> str:
    """Write the command that accepts one held share; what is in capitals is the person's to fill in.

    Args:
        reason: why it is held; without a vault a person must name one.
    """
    vault = " --vault VAULT" if reason in NEEDS_VAULT else ""
    return f"doorman approve {image_id} --project {project_id}{vault} --reason TEXT"
