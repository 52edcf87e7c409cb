"""What no model of one document can see, each rule for itself: it takes the whole template and yields its faults."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from hashlib import sha256

from deploy.fill_in import hash_of
from doorman.policy.document.faults import BrokenFile
from doorman.policy.policy import load
from doorman.version import VERSION
from tests.template import rules_eventing, rules_files, rules_serving
from tests.template.whole import Template, label, refs

POLICY = "policy.yaml"
RECOMMENDED = ("name", "instance", "version", "component", "part-of", "managed-by")


def names(template: Template) -> Iterator[str]:
    """One Namespace, first in the file; everything in it; no name twice."""
    namespace = template.documents[0]
    if namespace.kind != "Namespace" or len(template.all("Namespace")) != 1:
        yield "the first document must be the one Namespace, since all others are created in it"
        return
    for document in template.documents[1:]:
        if document.metadata.namespace != namespace.metadata.name:
            yield f"{label(document)}: metadata.namespace: another one than {namespace.metadata.name!r}"
    for name, times in Counter(map(label, template.documents)).items():
        if times > 1:
            yield f"{name}: stands {times} times"


def labels(template: Template) -> Iterator[str]:
    """Every document bears Kubernetes' recommended labels, all of them, and the version of this product.

    See https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/
    """
    for document in template.documents:
        found = document.metadata.labels
        for name in sorted({f"app.kubernetes.io/{each}" for each in RECOMMENDED} - {*found}):
            yield f"{label(document)}: metadata.labels: no {name}"
        if (version := found.get("app.kubernetes.io/version", VERSION)) != VERSION:
            yield f"{label(document)}: metadata.labels: version {version}, but this is {VERSION}"


def references(template: Template) -> Iterator[str]:
    """Every reference leads to a document of this file."""
    namespace = next((each.metadata.name for each in template.all("Namespace")), None)
    for document in template.documents:
        for path, ref in refs(document):
            if not template.has(ref):
                yield f"{label(document)}: {path}: no {ref.kind} {ref.name!r} of {ref.api_version} in this file"
            if ref.namespace not in (None, namespace):
                yield f"{label(document)}: {path}: leads to another namespace, {ref.namespace!r}"


def policy(template: Template) -> Iterator[str]:
    """The policy stands in one immutable ConfigMap that bears the hash of its content."""
    found = [each for each in template.all("ConfigMap") if POLICY in each.data]
    if len(found) != 1:
        yield f"{len(found)} ConfigMaps with a {POLICY}, expected one"
        return
    name = f"policy-{hash_of(found[0].data[POLICY])}"
    if found[0].metadata.name not in {name, f"policy-{kustomize_hash(found[0].data)}"}:
        yield f"{label(found[0])}: metadata.name: the content asks for {name} (deploy/fill_in.py renames it)"
    try:
        load(found[0].data[POLICY], file=POLICY)
    except BrokenFile as error:
        yield f"{label(found[0])}: {error}"
    if not found[0].immutable:
        yield f"{label(found[0])}: immutable: must be true, a function keeps the policy that it started with"


def kustomize_hash(data: dict[str, str]) -> str:
    """Give the suffix by which Kustomize names a generated ConfigMap after its content.

    See https://pkg.go.dev/sigs.k8s.io/kustomize/api/hasher
    """
    content = json.dumps({"data": data, "kind": "ConfigMap", "name": ""}, separators=(",", ":"), sort_keys=True)
    return sha256(content.encode()).hexdigest()[:10].translate(str.maketrans("013ae", "ghkmt"))


def protection(template: Template) -> Iterator[str]:
    """The network policy and the disruption budget cover the pods of every function."""
    if len(template.all("NetworkPolicy")) != 1 or len(template.all("PodDisruptionBudget")) != 1:
        yield "expected one NetworkPolicy and one PodDisruptionBudget"
        return
    selectors = {
        label(each): selector
        for each, selector in (
            *((each, each.spec.pod_selector.match_labels) for each in template.all("NetworkPolicy")),
            *((each, each.spec.selector.match_labels) for each in template.all("PodDisruptionBudget")),
        )
    }
    for service in template.all("Service"):
        pod = service.spec.template.metadata.labels
        for name, selector in selectors.items():
            if not selector.items() <= pod.items():
                yield f"{name}: does not select the pods of {label(service)}"


RULES: tuple[Callable[[Template], Iterator[str]], ...] = (
    names,
    labels,
    references,
    policy,
    protection,
    *rules_eventing.RULES,
    *rules_serving.RULES,
    *rules_files.RULES,
)
