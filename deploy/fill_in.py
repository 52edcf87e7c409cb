"""Fills in `template.yaml` and names the policy's ConfigMap after its content; prints what `kubectl apply -f` takes.

Text in, text out, so that every comment survives. Reads the policy as the functions will, so it needs the package
`doorman` (from the checkout) and what that needs. Talks to no cluster.
"""

import argparse
import re
import sys
from hashlib import sha256
from pathlib import Path

IMAGE = "FILL-IN-REGISTRY/doorman@sha256:" + "0" * 64
_POLICY = re.compile(r"(?m)^  policy\.yaml: \|\n((?:    .*\n|\n)*)")
_POLICY_NAME = re.compile(r"\bpolicy-[0-9a-f]{10}\b")
_KAFKA_CONFIG = re.compile(r"(?m)^  config:\n(    .*\n)+")
_KAFKA_CLASS = re.compile(r"(?m)^    eventing\.knative\.dev/broker\.class: Kafka.*\n")
_IN_MEMORY = """\
    eventing.knative.dev/broker.class: MTChannelBasedBroker # a trial: events live in one pod's memory
    messaging.knative.dev/async-handler: "true" # answers before it delivers: a function never waits for the next one
"""
_LEFT = re.compile(r"FILL-IN-[A-Z]+")


class NotFilledIn(Exception):
    """A value is missing or cannot be right; the text says which and how it should look."""


def hash_of(policy: str) -> str:
    """Give the 10 hex digits that `sha256sum policy.yaml | cut -c1-10` prints."""
    return sha256(policy.encode()).hexdigest()[:10]


def policy_of(text: str) -> str:
    """Read the policy out of the template as its ConfigMap holds it."""
    block = _POLICY.search(text)
    if block is None:
        raise NotFilledIn("the template has no block `  policy.yaml: |` any more; start from a fresh template.yaml")
    return re.sub(r"(?m)^    ", "", block[1]).rstrip("\n") + "\n"


def check_policy(text: str) -> None:
    """Read the policy as the functions will: a broken one would keep them from starting.

    Raises:
        NotFilledIn: it is broken, each fault with its line in the policy; or it cannot be read here.
    """
    sys.path.append(str(Path(__file__).parents[1] / "function"))
    try:
        from doorman.policy.document.faults import BrokenFile  # noqa: PLC0415 - all else works without it
        from doorman.policy.policy import load  # noqa: PLC0415 - likewise
    except ImportError as error:
        fix = "pip install . in the checkout, or .venv/bin/python after make demo"
        raise NotFilledIn(f"the policy cannot be checked without {error.name}: {fix}") from error
    try:
        load(text)
    except BrokenFile as error:
        raise NotFilledIn(str(error)) from error


def fill(text: str, *, namespace: str = "", image: str = "", kafka: str = "", policy: str = "") -> str:
    """Put values into the template and rename the policy's ConfigMap; what is not given stays as it stands.

    Raises:
        NotFilledIn: a value has the wrong form, a word to fill in is left, or the policy is broken.
    """
    _require(namespace, r"|[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", "--namespace: lower case, digits and -, at most 63")
    _require(image, r"|[a-z0-9.:/_-]+@sha256:[0-9a-f]{64}", "--image: by digest, registry/path@sha256:<64 hex digits>")
    _require(kafka, r"|([a-z0-9.-]+:\d+,?)+", "--kafka: host:port, several with commas")
    if policy:
        lines = ("    " + line if line else "" for line in policy.rstrip("\n").split("\n"))
        block = "  policy.yaml: |\n" + "\n".join(lines) + "\n"
        text = _POLICY.sub(lambda _: block, text)
    given = {"FILL-IN-NAMESPACE": namespace, IMAGE: image, "FILL-IN-KAFKA": kafka}
    body = "\n".join(line for line in text.split("\n") if not line.startswith("#") or "FILL-IN" not in line)
    for word, value in given.items():
        body = body.replace(word, value or word)
    left = sorted(set(_LEFT.findall(body)))
    if left:
        raise NotFilledIn(f"still to fill in: {', '.join(left)}; the top of the template says with what")
    check_policy(policy_of(body))
    return _POLICY_NAME.sub(f"policy-{hash_of(policy_of(body))}", body)


def without_kafka(text: str) -> str:
    """Change the Brokers to Knative's own in-memory class, for trials; docs/knative.md tells what is lost with it."""
    documents = re.split(r"(?m)^---\n", text)
    kept = [each for each in documents if "kind: ConfigMap\nmetadata:\n  name: kafka\n" not in each]
    brokers = (_KAFKA_CONFIG.sub("", _KAFKA_CLASS.sub(_IN_MEMORY, each)) for each in kept)
    return "---\n".join(each.removesuffix("spec:\n") for each in brokers)


def _require(value: str, form: str, fault: str) -> None:
    if re.fullmatch(form, value, re.ASCII) is None:
        raise NotFilledIn(f"{fault}; got {value!r}")


def main(arguments: list[str]) -> int:
    """Fill in the template as the command line says; 1 with one line on stderr where something is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("template", nargs="?", default="template.yaml", help="also a file that was filled in before")
    for option in ("namespace", "image", "kafka"):
        parser.add_argument(f"--{option}", default="")
    parser.add_argument("--in-memory", action="store_true", help="Brokers without Kafka, for a trial")
    parser.add_argument("--policy", type=Path, help="a policy file; without it the one in the template")
    options = vars(parser.parse_args(arguments))
    template, policy, is_trial = Path(options.pop("template")), options.pop("policy"), options.pop("in_memory")
    try:
        text = template.read_text("utf-8")
        text = without_kafka(text) if is_trial else text
        filled = fill(text, policy=policy.read_text("utf-8") if policy else "", **options)
    except (NotFilledIn, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(filled)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
