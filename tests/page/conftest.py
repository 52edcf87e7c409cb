"""A real browser, Debian's Chromium, on the page of a sandbox of its own."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select, WebDriverWait

from doorman.sandbox.assembly import Stage, open_stage

DRIVER = "/usr/bin/chromedriver"
SECONDS = 30
WATCH = """
  window.longTasks = [];
  const note = (list) => window.longTasks.push(...list.getEntries().map((each) => Math.round(each.duration)));
  new PerformanceObserver(note).observe({ type: "longtask", buffered: true });
"""


class Browser:
    """The page as a person uses it: what stands there, and what can be pressed."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def open(self, url: str) -> None:
        """Open the page, and wait until it is fed."""
        self.driver.get(url)
        self.await_text("#link", "live")

    def leave(self) -> None:
        """Close the page; the browser must not have complained about anything."""
        assert self.complaints() == []
        self.driver.get("about:blank")

    def find(self, css: str) -> WebElement:
        """Find one element."""
        return self.driver.find_element(By.CSS_SELECTOR, css)

    def texts(self, css: str) -> list[str]:
        """Give the texts of all such elements; of one that is drawn anew meanwhile, those of now."""
        script = "return [...document.querySelectorAll(arguments[0])].map((each) => each.textContent)"
        return [str(text) for text in self.driver.execute_script(script, css)]

    def wait(self, condition: Callable[[], Any], what: str) -> Any:
        """Wait until something holds."""
        return WebDriverWait(self.driver, SECONDS, poll_frequency=0.1).until(lambda _: condition(), what)

    def await_text(self, css: str, word: str) -> str:
        """Wait until such an element says this; its text."""
        found = self.wait(lambda: [text for text in self.texts(css) if word in text], f"{css}: {word}")
        return str(found[0])

    def press(self, css: str, word: str = "") -> None:
        """Press the first such button, of those that are labelled so; once more where it is drawn anew meanwhile."""
        script = """
          const says = (each) => (each.getAttribute("aria-label") || each.textContent).includes(arguments[1]);
          return [...document.querySelectorAll(arguments[0])].find(says);
        """

        def try_it() -> bool:
            try:
                found = self.driver.execute_script(script, css, word)
                if found is not None:
                    found.click()
            except StaleElementReferenceException:
                return False
            return found is not None

        self.wait(try_it, f"{css}: {word}")

    def write(self, css: str, text: str) -> None:
        """Put a text into a field, as typing does."""
        script = "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input', { bubbles: true }))"
        self.driver.execute_script(script, self.find(css), text)

    def choose(self, css: str, word: str) -> None:
        """Choose from a list."""
        Select(self.find(css)).select_by_visible_text(word)

    def complaints(self) -> list[str]:
        """What the browser wrote of this page to its console: faults of scripts, and what the page's policy forbids."""
        log: list[dict[str, str]] = self.driver.get_log("browser")  # type: ignore[no-untyped-call]
        here = self.driver.current_url.removesuffix("/sandbox")
        return [entry["message"] for entry in log if entry["level"] == "SEVERE" and here in entry["message"]]


@pytest.fixture(scope="session")
def driver() -> Iterator[webdriver.Chrome]:
    """One Chromium for all tests; it counts long tasks from the first script on."""
    options = webdriver.ChromeOptions()
    for option in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1280,1000"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH})
    yield driver
    driver.quit()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A sandbox with the sample world."""
    with open_stage(logs=tmp_path) as stage:
        yield stage


@pytest.fixture
def browser(driver: webdriver.Chrome) -> Browser:
    """The browser, to be left before the sandbox ends."""
    return Browser(driver)


@pytest.fixture
def page(browser: Browser, stage: Stage) -> Iterator[Browser]:
    """The page of the sandbox."""
    browser.open(stage.page)
    browser.await_text("#totals button", "shares")
    yield browser
    browser.leave()
