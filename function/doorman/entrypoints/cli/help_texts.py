"""What stands below each command's `--help`: an example, and the variables that it reads."""

from textwrap import fill
from typing import Final

_LOGIN: Final = "OS_CLOUD or OS_* (the login), OS_PROJECT_ID (the served projects), OS_REGION_NAME"
_CLOUD: Final = f"{_LOGIN}, DOORMAN_API"
_DECIDES: Final = f"{_CLOUD}, DOORMAN_POLICY, DOORMAN_MODE, LOG_LEVEL, LOG_FORMAT, NO_COLOR"
_TELLS: Final = f"{_DECIDES}, K_SINK"
_BY_HAND: Final = "6596628c-42d4-4ff1-8660-8ea5ae61f243 \\\n    --project landing-zone --reason"

# command: an example, and the variables
_BELOW: Final = {
    "doctor": ("doctor --os-cloud receiver", f"{_DECIDES}, K_SINK, HTTPS_PROXY, NO_PROXY"),
    "run": ("run --project landing-zone --dry-run", f"{_TELLS}; with --notify DOORMAN_CHANNELS"),
    "pending": ("pending --state told.json --new --fail-on held", _DECIDES),
    "approve": (f"approve {_BY_HAND} 'ticket 4711'", _TELLS),
    "reject": (f"reject {_BY_HAND} 'unknown to us'", _TELLS),
    "reconcile": ("reconcile --usage", _TELLS),
    "report": ("report archive.json --html report.html", "none"),
    "notify": ("notify --test", "DOORMAN_CHANNELS, DOORMAN_POLICY"),
    "replay": ("replay dead-letters.json", "K_SINK"),
    "policy": ("policy check policy.yaml", "DOORMAN_POLICY, DOORMAN_API"),
    "policy check": ("policy check policy.yaml --strict", f"DOORMAN_API; with --live also {_LOGIN}"),
    "policy test": ("policy test policy-tests --require-coverage", "DOORMAN_POLICY, DOORMAN_API"),
    "policy suggest": ("policy suggest --out first-policy", _CLOUD),
    "policy diff": ("policy diff old.yaml policy.yaml --shares shares.json", f"DOORMAN_API; with --live also {_LOGIN}"),
    "policy schema": ("policy schema", "none"),
    "explain": ("explain events/golden-image.json", f"DOORMAN_POLICY, DOORMAN_API; with --project also {_LOGIN}"),
    "send": ("send events/golden-image.json --to http://localhost:8080", "K_SINK"),
    "sandbox": ("sandbox --demo", "none"),
}


def write_below(command: str) -> str:
    """Write what stands below a command's help."""
    example, variables = _BELOW[command]
    listed = fill(variables, 78, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)
    return f"example:\n  doorman {example}\n\nvariables:\n{listed}"
