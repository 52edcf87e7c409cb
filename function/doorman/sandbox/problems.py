"""How the sandbox says no: one exception that carries the whole answer, in the spelling of each service."""

from typing import Any


class Problem(Exception):
    """A refusal with its HTTP status and JSON body."""

    def __init__(self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        super().__init__(f"{status} {body}")
        self.status = status
        self.body = body
        self.headers = headers or {}


def ims(code: str, message: str, status: int = 400) -> Problem:
    """Refuse as the image service's own API does, almost always with 400 and a code."""
    return Problem(status, {"error": {"code": code, "message": message}})


def keystone(status: int, title: str, message: str) -> Problem:
    """Refuse as Keystone does."""
    return Problem(status, {"error": {"code": status, "message": message, "title": title}})


def unauthorized() -> Problem:
    """Refuse a login, token or signature; what exactly is wrong is never told."""
    return keystone(401, "Unauthorized", "The request you have made requires authentication.")


def glance(status: int, title: str, message: str) -> Problem:
    """Refuse as Glance does to those who accept JSON; the others get HTML."""
    return Problem(status, {"message": f"{message}<br /><br />\n\n\n", "code": f"{status} {title}", "title": title})


def gateway(status: int, code: str, message: str) -> Problem:
    """Refuse as the API gateway in front of the services does."""
    return Problem(status, {"error_msg": message, "error_code": code, "request_id": "0" * 32})


def smn(status: int, code: str, message: str) -> Problem:
    """Refuse as the message service does."""
    return Problem(status, {"request_id": "0" * 32, "code": code, "message": message})
