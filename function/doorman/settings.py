"""The environment, read once into one frozen object; every fault is one message that names the variable."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, get_args

from doorman.cloud.auth.environ import Identity, NoLogin
from doorman.cloud.auth.variables import gather
from doorman.errors import Misconfigured, Rejected
from doorman.parsing import parse_json
from doorman.runtime.logs import Format, Level
from doorman.sinks.base import Target, read_sink

Mode = Literal["enforce", "audit"]
LentMode = Literal[Mode, "forward"]
"""Where credentials may come with each call, a function may also do no more than pass notices on."""
Api = Literal["ims", "glance"]

VARIABLES: Mapping[str, str] = {
    "DOORMAN_POLICY": "policy.yaml",
    "DOORMAN_MODE": "enforce",
    "DOORMAN_API": "ims",
    "DOORMAN_MAX_IMAGES_PER_CALL": "100",
    "DOORMAN_VISIBILITY_WINDOW": "60",
    "DOORMAN_CHECK_BUDGET": "20",
    "DOORMAN_JOB_DEADLINE": "3600",
    "DOORMAN_REQUEST_TIMEOUT": "10",
    "DOORMAN_SINK_TIMEOUT": "30",
    "DOORMAN_CHANNELS": "",
    "DOORMAN_SWEEP_FANOUT": "50",
    "LOG_LEVEL": "info",
    "LOG_FORMAT": "json",
    "K_SINK": "",
    "K_CE_OVERRIDES": "",
    "K_CA_CERTS": "",
}
"""Every variable of ours with its default; those of the login are in `variables`."""

SLIPS = 2
"""Letters that a name may differ from a known one to be taken for it."""

_EXTENSION = re.compile(r"[a-z0-9]+", re.ASCII)
_CORE = frozenset({"specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema", "data"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of one process; times in seconds."""

    policy: str
    mode: LentMode
    api: Api
    max_images_per_call: int
    visibility_window: float
    check_budget: float
    job_deadline: float
    request_timeout: float
    sink_timeout: float
    sweep_fanout: int
    log_level: Level
    log_format: Format
    sink: str | Target | None = field(repr=False)
    overrides: Mapping[str, str]
    sink_ca: str | None = field(repr=False)
    identity: Identity = field(repr=False)
    notes: tuple[str, ...] = ()
    channels: str | None = None

    @classmethod
    def from_environ(
        cls,
        environ: Mapping[str, str],
        *,
        is_sink_required: bool,
        is_login_required: bool = True,
        is_telling: bool = False,
    ) -> "Settings":
        """Read the environment; an empty variable counts as unset.

        Args:
            is_login_required: False where credentials may come with each call instead.
            is_telling: True where people are told and nothing else is done: without a cloud, through channels.

        Raises:
            Misconfigured: variables are missing or wrong; the text names all of them.
        """
        values = {name: environ.get(name) or default for name, default in VARIABLES.items()}
        is_sender = not is_login_required and values["DOORMAN_MODE"].lower() == "forward"
        reads = {
            "mode": partial(_choice, values, "DOORMAN_MODE", Mode if is_login_required else LentMode),
            "api": partial(_choice, values, "DOORMAN_API", Api),
            "max_images_per_call": partial(_count, values, "DOORMAN_MAX_IMAGES_PER_CALL"),
            "visibility_window": partial(_seconds, values, "DOORMAN_VISIBILITY_WINDOW", least=0.0),
            "check_budget": partial(_seconds, values, "DOORMAN_CHECK_BUDGET", least=0.0),
            "job_deadline": partial(_seconds, values, "DOORMAN_JOB_DEADLINE", least=0.0),
            "request_timeout": partial(_seconds, values, "DOORMAN_REQUEST_TIMEOUT", least=0.01),
            "sink_timeout": partial(_seconds, values, "DOORMAN_SINK_TIMEOUT", least=0.01),
            "sweep_fanout": partial(_count, values, "DOORMAN_SWEEP_FANOUT"),
            "log_level": partial(_choice, values, "LOG_LEVEL", Level),
            "log_format": partial(_choice, values, "LOG_FORMAT", Format),
            "sink": partial(_sink, values["K_SINK"], is_required=is_sink_required or is_sender),
            "overrides": partial(_overrides, values["K_CE_OVERRIDES"]),
            "identity": partial(Identity.from_environ, {}, login_required=False)
            if is_telling
            else partial(_identity, environ, is_login_required=is_login_required, is_url_enough=is_sender),
            "channels": partial(_channels, values["DOORMAN_CHANNELS"], is_required=is_telling),
            "notes": partial(_find_strange, environ),
        }
        return cls(policy=values["DOORMAN_POLICY"], sink_ca=values["K_CA_CERTS"] or None, **gather(**reads))


def _identity(environ: Mapping[str, str], *, is_login_required: bool, is_url_enough: bool) -> Identity:
    try:
        identity = Identity.from_environ(environ, login_required=is_login_required)
    except NoLogin as error:
        from doorman.cloud.auth.cloud_files import name_entries  # noqa: PLC0415 - only for this message

        raise Misconfigured(f"{error}{name_entries(environ)}") from None
    is_alone = is_url_enough and environ.get("K_SINK", "").startswith("http")
    if not (is_alone or identity.accounts or identity.handed or identity.clouds or identity.endpoints.image):
        raise Misconfigured("OS_IMAGE_ENDPOINT_OVERRIDE: missing; credentials that come with each call know no catalog")
    return identity


def _find_strange(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Find names that look like ours and are none: a slip of the finger stops the start, any other is worth a note."""
    strange = sorted(
        name for name, value in environ.items() if value and name.startswith("DOORMAN_") and name not in VARIABLES
    )
    slips = [(name, known) for name in strange for known in VARIABLES if _distance(name, known) <= SLIPS]
    if slips:
        raise Misconfigured("; ".join(f"{name}: unknown; {known} is meant?" for name, known in slips))
    return (f"unknown variables, ignored: {', '.join(strange)}",) if strange else ()


def _distance(one: str, other: str) -> int:
    """Count the letters to add, to drop, to change, or to swap with the next, to get from one word to the other."""
    before, row = [0] * (len(other) + 1), list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        last, before, row = before, row, [i]
        for j, wanted in enumerate(other, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (letter != wanted)))
            if i > 1 and j > 1 and (letter, one[i - 2]) == (other[j - 2], wanted):
                row[-1] = min(row[-1], last[j - 2] + 1)
    return row[-1]


def _choice(values: Mapping[str, str], name: str, words: Any) -> Any:
    allowed = get_args(words)
    value = values[name].lower()
    if value not in allowed:
        raise Misconfigured(f"{name}: expected one of {', '.join(allowed)}, got {values[name][:40]!r}")
    return value


def _count(values: Mapping[str, str], name: str) -> int:
    if not re.fullmatch(r"[1-9]\d{0,5}", values[name], re.ASCII):
        raise Misconfigured(f"{name}: expected a whole number from 1, got {values[name][:40]!r}")
    return int(values[name])


def _seconds(values: Mapping[str, str], name: str, *, least: float) -> float:
    if not re.fullmatch(r"\d{1,9}(\.\d{1,9})?", values[name], re.ASCII) or float(values[name]) < least:
        raise Misconfigured(f"{name}: expected seconds as a number from {least:g}, got {values[name][:40]!r}")
    return float(values[name])


def _sink(text: str, *, is_required: bool) -> str | Target | None:
    if is_required and not text:
        raise Misconfigured("K_SINK: missing; set it to the URL that follow-up events are POSTed to")
    return read_sink(text)


def _channels(text: str, *, is_required: bool) -> str | None:
    if is_required and not text:
        raise Misconfigured("DOORMAN_CHANNELS: missing; set it to the file of channels")
    return text or None


def _overrides(text: str) -> Mapping[str, str]:
    try:
        value = parse_json(text, "K_CE_OVERRIDES") if text else {}
    except Rejected as error:
        raise Misconfigured(str(error)) from error
    extensions = value.get("extensions") if isinstance(value, dict) else value
    if extensions is None:
        return {}
    if not isinstance(extensions, dict) or not all(isinstance(each, str) for each in extensions.values()):
        raise Misconfigured('K_CE_OVERRIDES: expected JSON such as {"extensions": {"team": "images"}}')
    for name in extensions:
        if not _EXTENSION.fullmatch(name) or name in _CORE:
            raise Misconfigured(f"K_CE_OVERRIDES: {name[:40]!r} is no extension name (lower-case letters and digits)")
    return extensions
