"""Looks up `OS_*` values by name, wherever they come from, and says in a message how their source spells them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from doorman.errors import Misconfigured


@dataclass(frozen=True, slots=True)
class Values:
    """`OS_*` values of the environment or of one clouds.yaml entry; an empty one counts as unset.

    Attributes:
        spell: how their source spells a variable's name, for messages.
    """

    values: Mapping[str, str] = field(repr=False)
    spell: Callable[[str], str] = str

    def get(self, *names: str) -> str | None:
        """Give the first of `names` that is set."""
        return next((value for name in names if (value := self.values.get(name, "").strip())), None)

    def need(self, name: str, *, why: str) -> str:
        """Give the value of `name`.

        Raises:
            Misconfigured: it is not set.
        """
        if (value := self.get(name)) is None:
            raise self.missing(name, why=why)
        return value

    def secret(self, name: str, *, why: str) -> str:
        """Give the value of `name` with its spaces; only a line end, as files leave it behind, is taken off.

        Raises:
            Misconfigured: it is not set.
        """
        self.need(name, why=why)
        return self.values[name].strip("\r\n")

    def missing(self, name: str, *, why: str) -> Misconfigured:
        """Make the error for a value that is not set."""
        return Misconfigured(f"{self.spell(name)} is missing: {why}")

    def listed(self, *names: str) -> tuple[str, ...]:
        """Give the comma-separated parts of the first of `names` that is set, each once."""
        parts = (part.strip() for part in (self.get(*names) or "").split(","))
        return tuple(dict.fromkeys(part for part in parts if part))

    def url(self, name: str) -> str | None:
        """Give the URL in `name` without trailing slashes.

        Raises:
            Misconfigured: it is no plain http or https URL.
        """
        if (value := self.get(name)) is None:
            return None
        if not is_plain_url(value):
            hint = "; leave out the quotes" if value[0] in {'"', "'"} else ""
            raise Misconfigured(
                f"{self.spell(name)} must be an http:// or https:// URL without user, query or fragment{hint}"
            )
        return value.rstrip("/")


def gather(**reads: Callable[[], Any]) -> dict[str, Any]:
    """Give by name what all `reads` give.

    Raises:
        Misconfigured: some of them did; all that is wrong stands in one message.
    """
    results: dict[str, Any] = {}
    faults = []
    for name, read in reads.items():
        try:
            results[name] = read()
        except Misconfigured as error:
            faults.append(str(error))
    if faults:
        raise Misconfigured("; ".join(dict.fromkeys(faults)))
    return results


def is_plain_url(text: str) -> bool:
    """Say whether `text` is an http(s) URL with a host and nothing that could hide a secret."""
    try:
        url = urlsplit(text)
        is_one = url.port != 0 and url.scheme in {"http", "https"} and bool(url.hostname)
    except ValueError:
        return False
    return is_one and not (url.username or url.password or url.query or url.fragment or set(text) & set(" \t\r\n{}"))
