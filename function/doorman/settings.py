"""The environment, read once into one frozen object; every fault is one message that names the variable."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any, Literal, NamedTuple, get_args

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

SLIPS = 2
"""Letters that a name may differ from a known one to be taken for it."""

_EXTENSION = re.compile(r"[a-z0-9]+", re.ASCII)
_CORE = frozenset({"specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema", "data"})


def _text(_: str, text: str) -> str | None:
    return text or None


def _choice(words: Any, name: str, text: str) -> Any:
    allowed = get_args(words)
    if text.lower() not in allowed:
        raise Misconfigured(f"{name}: expected one of {', '.join(allowed)}, got {text[:40]!r}")
    return text.lower()


def _count(name: str, text: str) -> int:
    if not re.fullmatch(r"[1-9]\d{0,5}", text, re.ASCII):
        raise Misconfigured(f"{name}: expected a whole number from 1, got {text[:40]!r}")
    return int(text)


def _seconds(name: str, text: str, *, least: float = 0.0) -> float:
    if not re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text, re.ASCII) or float(text) < least:
        raise Misconfigured(f"{name}: expected seconds as a number from {least:g}, got {text[:40]!r}")
    return float(text)


def _overrides(name: str, text: str) -> Mapping[str, str]:
    try:
        value = parse_json(text, name) if text else {}
    except Rejected as error:
        raise Misconfigured(str(error)) from error
    extensions = value.get("extensions") if isinstance(value, dict) else value
    if extensions is None:
        return {}
    if not isinstance(extensions, dict) or not all(isinstance(value, str) for value in extensions.values()):
        raise Misconfigured(f'{name}: expected JSON such as {{"extensions": {{"team": "images"}}}}')
    for each in extensions:
        if not _EXTENSION.fullmatch(each) or each in _CORE:
            raise Misconfigured(f"{name}: {each[:40]!r} is no extension name (lower-case letters and digits)")
    return extensions


class Variable(NamedTuple):
    """Where a setting stands, what counts where that is empty, and how name and text are read."""

    name: str
    default: str
    read: Callable[[str, str], Any] = _text


_TIMEOUT = partial(_seconds, least=0.01)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of one process; times in seconds."""

    policy: Annotated[str, Variable("DOORMAN_POLICY", "policy.yaml")]
    mode: Annotated[LentMode, Variable("DOORMAN_MODE", "enforce", partial(_choice, Mode))]
    api: Annotated[Api, Variable("DOORMAN_API", "ims", partial(_choice, Api))]
    max_images_per_call: Annotated[int, Variable("DOORMAN_MAX_IMAGES_PER_CALL", "100", _count)]
    visibility_window: Annotated[float, Variable("DOORMAN_VISIBILITY_WINDOW", "60", _seconds)]
    check_budget: Annotated[float, Variable("DOORMAN_CHECK_BUDGET", "20", _seconds)]
    job_deadline: Annotated[float, Variable("DOORMAN_JOB_DEADLINE", "3600", _seconds)]
    request_timeout: Annotated[float, Variable("DOORMAN_REQUEST_TIMEOUT", "10", _TIMEOUT)]
    sink_timeout: Annotated[float, Variable("DOORMAN_SINK_TIMEOUT", "30", _TIMEOUT)]
    sweep_fanout: Annotated[int, Variable("DOORMAN_SWEEP_FANOUT", "50", _count)]
    log_level: Annotated[Level, Variable("LOG_LEVEL", "info", partial(_choice, Level))]
    log_format: Annotated[Format, Variable("LOG_FORMAT", "json", partial(_choice, Format))]
    sink: Annotated[str | Target | None, Variable("K_SINK", "", lambda _, text: read_sink(text))] = field(repr=False)
    overrides: Annotated[Mapping[str, str], Variable("K_CE_OVERRIDES", "", _overrides)]
    sink_ca: Annotated[str | None, Variable("K_CA_CERTS", "")] = field(repr=False)
    identity: Identity = field(repr=False)
    notes: tuple[str, ...] = ()
    channels: Annotated[str | None, Variable("DOORMAN_CHANNELS", "")] = None

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
        texts = {name: environ.get(name) or default for name, default in VARIABLES.items()}
        is_sender = not is_login_required and texts["DOORMAN_MODE"].lower() == "forward"
        reads: dict[str, Callable[[], Any]] = {
            setting: partial(each.read, each.name, texts[each.name]) for setting, each in _BY_SETTING.items()
        }
        if not is_login_required:
            reads["mode"] = partial(_choice, LentMode, "DOORMAN_MODE", texts["DOORMAN_MODE"])
        if is_sink_required or is_sender:
            reads["sink"] = partial(
                _needed, reads["sink"], "K_SINK: missing; set it to the URL that follow-up events are POSTed to"
            )
        if is_telling:
            reads["channels"] = partial(
                _needed, reads["channels"], "DOORMAN_CHANNELS: missing; set it to the file of channels"
            )
        login = partial(_identity, environ, is_login_required=is_login_required, is_url_enough=is_sender)
        reads["identity"] = Identity if is_telling else login
        reads["notes"] = partial(_find_strange, environ)
        return cls(**gather(**reads))


_BY_SETTING: Mapping[str, Variable] = {
    setting: hint.__metadata__[0] for setting, hint in Settings.__annotations__.items() if hasattr(hint, "__metadata__")
}
VARIABLES: Mapping[str, str] = {each.name: each.default for each in _BY_SETTING.values()}
"""Every variable of ours with its default; those of the login are in `cloud.auth`."""


def _needed(read: Callable[[], Any], missing: str) -> Any:
    if (value := read()) is None:
        raise Misconfigured(missing)
    return value


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
