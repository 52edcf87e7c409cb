"""Plays back what `doorman doctor --record` wrote down: the same answers to the same questions, 404 to any other."""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

FILE = "recording.json"
_Key = tuple[str, str, tuple[tuple[str, str], ...]]
_LIFE: dict[str, Any] = {"issued_at": "2026-01-01T00:00:00Z", "expires_at": "2026-01-02T00:00:00Z"}


_HOST = re.compile(r"https://[0-9a-z-]+\.example(?=[/?\"])")


def read(folder: Path) -> dict[str, Any]:
    """Read a recording, which may come from anybody: it leads to no host but made-up ones, and holds plain text alone.

    Raises:
        OSError: it cannot be read.
        ValueError: it is none.
    """
    try:
        recording: Any = json.loads((folder / FILE).read_text("utf-8"))
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    answers = recording.get("answers") if isinstance(recording, dict) else None
    if not isinstance(answers, list) or not all(_is_answer(each) for each in answers):
        raise ValueError("no answers as `doorman doctor --record` writes them")
    text = json.dumps(recording)
    if "\\" in text or text.count("://") != len(_HOST.findall(text)):
        raise ValueError("a name or a host that is not made up")
    return dict(recording)


def _is_answer(each: Any) -> bool:
    kinds = {"method": str, "url": str, "status": int, "body": dict | None}
    return isinstance(each, dict) and all(isinstance(each.get(key, ...), kind) for key, kind in kinds.items())


_BASES = {
    "identity": r"(.*)/auth/tokens",
    "image": r"(.*)/v2/(?:cloud)?images.*",
    "cbr": r"(.*)/v3/[^/]+/vaults",
    "compute": r"(.*)/servers/detail",
}
_PROJECTS = (r".*/members/([^/]+)", r".*/v1/([^/]+)/jobs/.*", r".*/v3/([^/]+)/vaults")


def list_urls(recording: dict[str, Any]) -> dict[str, str]:
    """List the base URL of each service that was asked."""
    urls = [each["url"].partition("?")[0] for each in recording["answers"]]
    return {name: found[1] for name, form in _BASES.items() for url in urls if (found := re.fullmatch(form, url))}


def list_projects(recording: dict[str, Any]) -> list[str]:
    """List the projects that were served: those of tokens, and those in paths."""
    urls = [each["url"].partition("?")[0] for each in recording["answers"]]
    tokens = [str(project) for each in recording["answers"] if (project := _project_of(each))]
    paths = [found[1] for form in _PROJECTS for url in urls if (found := re.fullmatch(form, url))]
    return list(dict.fromkeys([*tokens, *paths])) or ["unknown"]


def environment(recording: dict[str, Any], base: str) -> dict[str, str]:
    """Write the settings with which a command is answered by the recording, served at `base`."""
    return {
        "OS_AUTH_URL": _local(list_urls(recording).get("identity", "/v3"), base),
        "OS_USERNAME": "doorman",
        "OS_PASSWORD": "replayed",
        "OS_USER_DOMAIN_NAME": "Default",
        "OS_PROJECT_ID": ",".join(list_projects(recording)),
        "DOORMAN_API": "ims" if any("/v2/cloudimages" in each["url"] for each in recording["answers"]) else "glance",
    }


def create_app(recording: dict[str, Any]) -> ASGIApp:
    """Serve a recording; each of its hosts is a folder of this one."""
    recorded: list[dict[str, Any]] = recording["answers"]
    answers = {_key(each["method"], _local(each["url"], "")): each for each in recorded}
    lists = {_unlimited(key): answers[key] for key in sorted(answers, key=_limit_of)}  # the longest pages count
    hosts = {urlsplit(each["url"]).netloc for each in recorded}
    logins = [each for each in recorded if urlsplit(each["url"]).path.endswith("/auth/tokens")]

    async def answer(request: Request) -> Response:
        base = f"{request.url.scheme}://{request.url.netloc}"
        found: dict[str, Any] | None
        if request.url.path.endswith("/auth/tokens"):
            found = _log_in(recording, logins, await request.json())
        else:
            query = request.scope["query_string"].decode("ascii")
            key = _key(request.method, f"{request.url.path}?{query}")
            found = answers.get(key) or lists.get(_unlimited(key))
        if found is None:
            return JSONResponse({"error": {"message": "not in the recording"}}, 404)
        text = json.dumps(found["body"] or {})
        for host in hosts:
            text = text.replace(f"https://{host}", f"{base}/{host}")
        headers = {"X-Subject-Token": "replayed"} if found in logins or "token" in (found["body"] or {}) else {}
        return Response(text, found["status"], headers, media_type="application/json")

    return Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST", "PUT"])])


def _log_in(recording: dict[str, Any], logins: list[dict[str, Any]], body: dict[str, Any]) -> dict[str, Any]:
    """Find the login to the project that is asked for; one that signs requests made none, so it is made up."""
    wanted = body["auth"].get("scope", {}).get("project", {}).get("id", list_projects(recording)[0])
    if logins:
        return next((login for login in reversed(logins) if _project_of(login) == wanted), logins[-1])
    catalog = [
        {"type": service, "endpoints": [{"interface": "public", "url": url}]}
        for service, url in list_urls(recording).items()
    ]
    return {"status": 201, "body": {"token": _LIFE | {"project": {"id": wanted}, "catalog": catalog}}}


def _project_of(login: dict[str, Any]) -> object:
    project: Any = login["body"]
    for key in ("token", "project", "id"):
        project = project.get(key) if isinstance(project, dict) else None
    return project


def _local(url: str, base: str) -> str:
    """Lead a recorded URL to this machine."""
    return url.replace("https://", f"{base}/", 1) if "://" in url else base + url


def _key(method: str, url: str) -> _Key:
    parts = urlsplit(url)
    return method, parts.path.rstrip("/"), tuple(sorted(parse_qsl(parts.query)))


def _unlimited(key: _Key) -> _Key:
    """Leave out how long a page may be: how many images a command looks for says that."""
    method, path, query = key
    return method, path, tuple(pair for pair in query if pair[0] != "limit")


def _limit_of(key: _Key) -> int:
    limit = dict(key[2]).get("limit", "")
    return int(limit) if re.fullmatch(r"\d{1,9}", limit, re.ASCII) else 0
