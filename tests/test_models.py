"""The nouns hold what was read, and IDs that are no IDs never get into a URL path."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorman.models import Reason, Share, is_image_id, is_plain_id

UUID = "6596628c-42d4-4ff1-8660-8ea5ae61f243"
PATH_SAFE = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


@pytest.mark.parametrize("text", [UUID, UUID.upper(), "0" * 8 + "-0000" * 3 + "-" + "0" * 12])
def test_image_id_is_a_uuid(text: str) -> None:
    """In either case."""
    assert is_image_id(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        UUID.replace("-", ""),
        f"{{{UUID}}}",
        f"urn:uuid:{UUID}",
        f"{UUID}\n",
        f" {UUID}",
        f"{UUID}/../x",
        UUID[:-1],
        f"{UUID}0",
        "g" + UUID[1:],
        "\N{FULLWIDTH DIGIT SIX}" + UUID[1:],
        "\N{ARABIC-INDIC DIGIT SIX}" + UUID[1:],
    ],
)
def test_anything_else_is_no_image_id(text: str) -> None:
    """Other spellings of a UUID, line ends, paths and foreign digits are refused."""
    assert not is_image_id(text)


@pytest.mark.parametrize("text", ["a", "A-b_9", "x" * 64, "-", "9c61004714024f9586705d090530f9fa"])
def test_plain_id_is_letters_digits_dash_and_underline(text: str) -> None:
    """From 1 to 64 of them."""
    assert is_plain_id(text)


@pytest.mark.parametrize(
    "text",
    ["", "x" * 65, "a b", "a/b", "..", "a.b", "a%2e", "a\n", "\N{LATIN SMALL LETTER U WITH DIAERESIS}", "\u0661"],
)
def test_anything_else_is_no_plain_id(text: str) -> None:
    """Dots, slashes, percent signs, spaces, line ends and other alphabets are refused."""
    assert not is_plain_id(text)


@given(st.text(max_size=70))
def test_ids_are_safe_in_a_path(text: str) -> None:
    """Whatever passes as an ID is one path segment, and none that leads upwards."""
    if is_image_id(text) or is_plain_id(text):
        assert PATH_SAFE.fullmatch(text)


def test_whether_an_image_is_full_ecs_is_never_left_out() -> None:
    """Policies and vaults hang on it: whoever makes a share has asked for it, or says that nobody tells."""
    with pytest.raises(TypeError, match="full_ecs"):
        Share(image_id=UUID, project_id="p")  # type: ignore[call-arg]


def test_reasons_are_words() -> None:
    """A closed set of lower-case words, each once."""
    assert all(re.fullmatch(r"[a-z_]+", reason) for reason in Reason)
