"""The files that the functions see: volumes and mounts fit, what a variable names is there, no secret is in sight."""

import posixpath
import re
from collections.abc import Callable, Iterator
from typing import Any

from tests.template.whole import Template, environment, label

RESERVED_PATHS = {"/", "/dev", "/dev/log"}
FILES = ("DOORMAN_POLICY", "OS_CLIENT_CONFIG_FILE")
_SECRET = re.compile(r"(?im)(password|passwd|secret|token|access_key)[\w.-]*['\"]?\s*[:=]\s*\S")


def volumes(template: Template) -> Iterator[str]:
    """Volumes are mounted and mounts have volumes, once each."""
    for service in template.all("Service"):
        spec = service.spec.template.spec
        mounts = spec.containers[0].volume_mounts
        names, mounted = [each.name for each in spec.volumes], [each.name for each in mounts]
        paths = [posixpath.normpath(each.mount_path) for each in mounts]
        for name in sorted({*names} - {*mounted}):
            yield f"{label(service)}: volume {name}: not mounted"
        for name in sorted({*mounted} - {*names}):
            yield f"{label(service)}: volumeMount {name}: no such volume"
        for twice in sorted({each for each in (*names, *paths) if (*names, *paths).count(each) > 1}):
            yield f"{label(service)}: {twice}: stands twice among volumes or mount paths"
        for path in sorted(RESERVED_PATHS.intersection(paths)):
            yield f"{label(service)}: mountPath {path}: belongs to the container runtime"


def modes(template: Template) -> Iterator[str]:
    """Knative lets Secrets and ConfigMaps be mounted read-only alone; the one writable place is /tmp, in memory."""
    for service in template.all("Service"):
        spec = service.spec.template.spec
        is_writable = {each.name: each.empty_dir is not None for each in spec.volumes}
        for mount in spec.containers[0].volume_mounts:
            if not mount.read_only and is_writable.get(mount.name) is False:
                yield f"{label(service)}: volumeMount {mount.name}: needs readOnly: true"
        tmp = _places(service).get("/tmp")
        if tmp is None or tmp.empty_dir is None:
            yield f"{label(service)}: /tmp: must be an emptyDir, since the root is read-only"


def files(template: Template) -> Iterator[str]:
    """What a variable names as a file is mounted there, from a ConfigMap of this file or from a Secret."""
    for service in template.all("Service"):
        for name in FILES:
            folder, file = posixpath.split(environment(service).get(name, ""))
            volume = _places(service).get(folder)
            if volume is None or not _holds(volume, file, template):
                yield f"{label(service)}: env {name}: no file {folder}/{file} is mounted"


def secrets(template: Template) -> Iterator[str]:
    """No ConfigMap carries what belongs in a Secret, and Secrets stand nowhere in the file."""
    for config in template.all("ConfigMap"):
        for key, text in config.data.items():
            if _SECRET.search(f"{key}: {text}"):
                yield f"{label(config)}: data.{key}: looks like a secret; credentials come as a Secret, by reference"


def _places(service: Any) -> dict[str, Any]:
    spec = service.spec.template.spec
    by_name = {each.name: each for each in spec.volumes}
    mounts = spec.containers[0].volume_mounts
    return {posixpath.normpath(each.mount_path): by_name[each.name] for each in mounts if each.name in by_name}


def _holds(volume: Any, file: str, template: Template) -> bool:
    if volume.config_map is None:
        return volume.secret is not None
    config = template.named("ConfigMap", volume.config_map.name)
    return config is not None and file in config.data


RULES: tuple[Callable[[Template], Iterator[str]], ...] = (volumes, modes, files, secrets)
