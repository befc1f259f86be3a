"""The report in a real browser, from disk: nothing is logged or fetched, filters work, figures have text alternatives."""

import json
import shutil

import pytest

from ntkcheck import claims, report
from tests.report import ABOUT, OWN, VERDICTS, changed_by_hand, make_figures, make_store

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER),
    reason="no Chromium here; on Debian `apt-get install chromium chromium-driver` brings it",
)
QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--window-size=1280,1000",
)
FIGURES = """return [...document.querySelectorAll('svg, img, canvas, math')].filter(figure => figure.checkVisibility())
    .filter(figure => !(figure.querySelector(':scope > title')?.textContent || figure.getAttribute('alt')
        || figure.getAttribute('aria-label') || figure.getAttribute('alttext')
        || figure.closest('[aria-label]:not([role=region]):not([role=group])')))
    .map(figure => figure.outerHTML.slice(0, 200))"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("browser")
    make_store(made / "store.db")
    statement = (
        "UPDATE measurement SET value = 1.0 WHERE cell = (SELECT id FROM cell WHERE parameters LIKE '%\"UP-2\"%')"
    )
    store = changed_by_hand(made / "store.db", made / "changed.db", statement)
    report.write(store, made / "report", [OWN], make_figures(made / "figures"))
    return made / "report"


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in (*QUIET, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(autouse=True)
def forgotten(driver):
    """What was logged before."""
    driver.get("about:blank")
    driver.get_log("browser")
    driver.get_log("performance")


def opened(driver, path):
    driver.get(path.as_uri())
    return driver


def requests(driver):
    """Addresses that were asked for, but for data within the page."""
    events = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    sent = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    return [address for address in sent if not address.startswith(("data:", "about:"))]


def shown(driver):
    return driver.execute_script(
        "return [...document.querySelectorAll('#ledger tr.claim')].filter(row => row.checkVisibility())"
        ".map(row => row.querySelector('th').textContent)"
    )


def select(driver, css):
    return driver.find_elements("css selector", css)


def drawn(driver):
    from selenium.webdriver.support.wait import WebDriverWait

    WebDriverWait(driver, 30).until(lambda driver: not select(driver, ".chart:not([data-drawn])"))


def pages(folder):
    return sorted(folder.rglob("*.html"))


def test_every_page_loads_from_disk_without_a_word_and_without_the_network(folder, driver):
    assert len(pages(folder)) == len(claims.load([OWN])) + 4
    for page in pages(folder):
        opened(driver, page)
        assert driver.title
    opened(driver, folder / "explore.html")
    drawn(driver)
    asked = requests(driver)
    assert len(asked) > 2 * len(pages(folder)) - 3  # the page and its style
    assert [address for address in asked if not address.startswith(folder.as_uri())] == []
    assert driver.get_log("browser") == []


def test_what_is_logged_or_fetched_would_be_seen(folder, driver, tmp_path):
    (tmp_path / "page.html").write_text("<title>x</title><script src='https://example.invalid/x.js'></script>")
    opened(driver, tmp_path / "page.html")
    assert driver.get_log("browser") != []
    assert "https://example.invalid/x.js" in requests(driver)


def test_every_figure_has_a_text_alternative(folder, driver):
    for page in pages(folder):
        opened(driver, page)
        if page.name == "explore.html":
            drawn(driver)
            assert len(select(driver, ".chart svg.marks")) == 4
        assert driver.execute_script(FIGURES) == [], page.name


def test_a_papers_figure_is_drawn_on_the_page_of_its_claim_with_its_caption(folder, driver):
    for page in ("claims/UP-1.html", "figures.html"):
        opened(driver, folder / page)
        (picture,) = select(driver, ".picture img")
        assert picture.get_attribute("alt") == ABOUT["caption"]
        drawn_size = driver.execute_script("return [arguments[0].complete, arguments[0].naturalWidth]", picture)
        assert drawn_size == [True, 60]
    select(driver, ".picture a")[0].click()  # the table behind it
    assert driver.get_log("browser") == []


def test_a_figure_without_a_text_alternative_would_be_seen(folder, driver):
    opened(driver, folder / "claims" / "MN-3.html")
    driver.execute_script("document.querySelector('svg title').textContent = ''")
    assert len(driver.execute_script(FIGURES)) == 1


def test_filters_narrow_the_ledger_and_can_be_taken_back(folder, driver):
    everything = list(claims.load([OWN]))
    opened(driver, folder / "index.html")
    assert shown(driver) == everything
    (refuted,) = select(driver, "input[name=verdict][value=inconclusive]")
    refuted.click()
    assert shown(driver) == ["UP-2", "UP-4"]  # the first was refuted before somebody changed it
    (paper,) = select(driver, "input[name=paper][value=MimicNorm]")
    paper.click()
    assert shown(driver) == []
    assert select(driver, "#nothing")[0].is_displayed()
    select(driver, "button[type=reset]")[0].click()
    driver.execute_async_script("setTimeout(arguments[0], 50)")
    assert shown(driver) == everything
    select(driver, "#search")[0].send_keys("across BOUND")
    assert shown(driver) == ["UP-4"]
    assert select(driver, "#shown")[0].text == f"1 of {len(everything)} claims"


def test_filters_work_by_keyboard(folder, driver):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    opened(driver, folder / "index.html")

    def press(*keys):
        ActionChains(driver).send_keys(*keys).perform()
        return driver.switch_to.active_element

    assert press(Keys.TAB).text == "Skip to the content"
    press(Keys.ENTER)
    assert driver.switch_to.active_element.get_attribute("id") == "main"
    assert press(Keys.TAB).get_attribute("id") == "search"
    press("MN-3")
    assert shown(driver) == ["MN-3"]
    focused = press(Keys.TAB)
    assert focused.get_attribute("name") == "paper"
    press(Keys.SPACE)
    assert focused.is_selected()


def test_a_record_that_was_changed_by_hand_is_seen(folder, driver):
    opened(driver, folder / "index.html")
    (mark,) = select(driver, "input[name=mark][value=changed]")
    mark.click()
    assert shown(driver) == ["UP-2"]
    select(driver, "#ledger tr.claim:not([hidden]) a")[0].click()
    assert "this verdict does not count" in select(driver, "main")[0].text


def test_a_page_with_an_odd_name_is_reached_from_the_ledger(folder, driver):
    opened(driver, folder / "index.html")
    select(driver, "#ledger tr.claim:last-child a")[-1].click()
    assert select(driver, "h1")[0].text.startswith(list(VERDICTS)[-1])


def test_without_scripts_the_ledger_shows_everything(folder, driver):
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        opened(driver, folder / "index.html")
        assert len(select(driver, "#ledger tr.claim")) == len(claims.load([OWN]))
        assert not select(driver, "#filters")[0].is_displayed()
    finally:
        driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_choices_change_what_is_drawn(folder, driver):
    from selenium.webdriver.support.select import Select

    opened(driver, folder / "explore.html")
    drawn(driver)
    choices = {element.get_attribute("name"): Select(element) for element in select(driver, "#depth select")}
    assert {"chosen_run", "chosen_quantity", "chosen_normalizer"} == choices.keys()
    points = "#depth .mark-symbol.role-mark path"
    before = len(select(driver, points))
    choices["chosen_normalizer"].select_by_visible_text("batch_norm")
    driver.execute_async_script("setTimeout(arguments[0], 200)")
    assert 0 < len(select(driver, points)) < before


def test_formulas_are_drawn_as_formulas(folder, driver):
    opened(driver, folder / "claims" / "MN-3.html")
    heights = driver.execute_script(
        "return [...document.querySelectorAll('mfrac')].map(f => f.getBoundingClientRect().height)"
    )
    assert heights
    assert min(heights) > 10  # pixels: numerator above denominator, even in a line of text
