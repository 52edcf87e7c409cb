"""A policy's own tests: shares in, decisions out, and which rules no case has reached. Reads no file and no clock."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, ClassVar, Final

from pydantic import Field

from doorman.models import Reason, Share
from doorman.policy.decision import Decision, decide
from doorman.policy.document import strict
from doorman.policy.document.strict import Strict, closest
from doorman.policy.document.yaml_reader import Node
from doorman.policy.policy import Policy
from doorman.policy.schema import Decision as DecisionWord
from doorman.policy.schema import Some, VaultId, words
from doorman.policy.tools import share_file
from doorman.policy.tools.share_file import Facts, Time
from doorman.policy.vault_choice import choose

_IMAGE: Final = "00000000-0000-4000-8000-000000000000"

Title = Annotated[str, Field(pattern=r"\S")]
Now = Annotated[Time | None, Field(description="the time of the decisions, such as `2026-11-05T12:00:00Z`")]


class Expected(Strict):
    """What must come out; what is left out is not looked at."""

    decision: DecisionWord
    rule: str | None = words("the name of the rule that must decide")
    reason: str | None = words("the reason that must be told, such as `allowed_owner`")
    vault: VaultId | None = words("the vault that must be tried first")
    tried: list[Annotated[str, Field(description="the name of a rule")]] | None = words(
        "the names of the rules in audit mode that must match, in order"
    )


class CaseEntry(Strict):
    """One case: a share, and what the policy must decide."""

    called: ClassVar[str] = "a case"
    form: ClassVar[str] = "a mapping with `case`, `share` and `expect`"

    case: Title = Field(description="a sentence, such as `a golden image is accepted`")
    share: Facts
    expect: Expected = Field(description="a mapping, such as `decision: accept`")
    now: Now = None


class CaseFile(Strict):
    """A file of cases."""

    called: ClassVar[str] = "the file"
    form: ClassVar[str] = "a mapping that begins with `cases:`"

    policy: Title | None = words("the path of the policy, seen from this file")
    now: Now = None
    cases: Some[CaseEntry] = Field(description="a list of cases, each beginning with `- case:`")


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How one case went; `misses` says in words what came out otherwise than expected."""

    case: str
    line: int
    decision: Decision
    misses: tuple[str, ...]


def load(text: str, *, file: str) -> tuple[CaseFile, Node]:
    """Load a file of cases, and where everything stands in it.

    Raises:
        BrokenFile: with every fault at once.
    """
    return strict.load(text, CaseFile, file=file)


def run(content: CaseFile, root: Node, policy: Policy, *, now: datetime) -> Iterator[Result]:
    """Run the cases of a file; `now` counts where the file does not say."""
    for index, entry in enumerate(content.cases):
        line, _ = root.find(("cases", index)).place
        share = share_file.to_share(entry.share, image_id=_IMAGE)
        decision = decide(share, policy, now=entry.now or content.now or now)
        misses = tuple(_misses(entry.expect, decision, share, policy))
        yield Result(case=entry.case, line=line, decision=decision, misses=misses)


def uncovered(policy: Policy, results: Iterable[Result]) -> tuple[str, ...]:
    """Return the rules and exceptions that no case reached, in the order of the file."""
    decisions = [result.decision for result in results]
    reached = {decision.rule for decision in decisions} | {
        trial.rule for decision in decisions for trial in decision.trials
    }
    return tuple(rule.name for rule in policy.rules if rule.name not in reached)


def _misses(expect: Expected, decision: Decision, share: Share, policy: Policy) -> Iterator[str]:
    came: Mapping[str, object] = {
        "decision": decision.action,
        "rule": decision.rule,
        "reason": decision.reason.value,
        "vault": choose(decision.vaults, share, tried=(), vaults=None),
        "tried": [trial.rule for trial in decision.trials],
    }
    rules = [rule.name for rule in policy.rules]
    there = {"rule": rules, "tried": rules, "reason": [*Reason]}
    for key, wanted in expect.model_dump(exclude_none=True).items():
        if came[key] != wanted:
            words = wanted if isinstance(wanted, list) else [wanted]
            strange = [_deny(word, there[key]) for word in words if word not in there.get(key, words)]
            yield f"{key} is {_word(came[key])}, expected {_word(wanted)}{''.join(strange)}"


def _deny(word: str, there: Iterable[str]) -> str:
    guess = closest(word, there)
    return f", but there is no `{word}`" + (f", did you mean `{guess}`?" if guess else "")


def _word(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(value) or "none"
    return "none" if value is None else str(value)
