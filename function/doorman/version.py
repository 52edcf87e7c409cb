"""The product's version, read by the package, the command and every request's User-Agent."""

VERSION = "0.1.0"
USER_AGENT = f"doorman/{VERSION}"
