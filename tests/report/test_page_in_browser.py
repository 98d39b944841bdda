"""The report's page in a real browser: headless Chromium, without network."""
from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bmp_plugin.cli import main
from bmp_plugin.report.page import page

EVIL = "<script>window.hacked=1</script>"
EVIL_QID = "q\"><img/src=x/onerror=window.hacked=2>"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
WIDE, PHONE = 1200, 390


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A report like ``conform``'s, of two runs that differ, with malicious names that must be escaped."""
    folder = tmp_path_factory.mktemp("page")
    a, b = ["".join(f"{qid} Q0 {docid} {rank} {9 - rank}.000000 t\n" for qid in ("1", EVIL_QID)
                    for rank, docid in enumerate(ranking, 1)) for ranking in (["d1", EVIL, "d3"], [EVIL, "d1", "d3"])]
    (folder / "a.txt").write_text(a)
    (folder / "b.txt").write_text(b)
    (folder / "qrels").write_text(f"1 0 d1 1\n{EVIL_QID} 0 d3 1\n")
    assert main(["compare", str(folder / "a.txt"), str(folder / "b.txt"), "--qrels", str(folder / "qrels"), "--output",
                 str(folder / "out"), "--depths", "2", "3"]) == 1
    found: dict[str, Any] = json.loads((folder / "out" / "report.json").read_text())
    one = found["comparisons"][0] | {"k": 3, "safe": True, "settings": {}, "a_label": "LuceneImpactSearcher",
                                     "b_label": "BmpImpactSearcher" + EVIL}
    contribution = {"token": EVIL, "impact": 2, "weight": 3, "product": 6.0}
    one["differing"][0]["explanations"] = [{"docid": EVIL, "ours": {
        "contributions": [contribution], "sum": 6.0, "score": 6.0, "rank": 1, "adjustment": 0.0, "adjusted": 6.0,
        "left_out": {EVIL: "in no document"}}, "lucene": {"score": 6.0, "impacts": {EVIL: 2}, "text": EVIL}}]
    agreed = {"queries": 2, "same_ranking": 0, "kinds": {"order": 2}, "overlap": 1.0, "rank_biased_overlap": 0.9}
    times = {"mean": 2.0, "median": 2.0, "p95": 3.0, "p99": 3.0, "ms": [1.0, 3.0]}
    return found | {
        "title": EVIL, "comparisons": [one], "refused": [{"engine": "e", "k": 3, "qid": EVIL_QID, "reason": EVIL}],
        "index": {"name": EVIL, "documents": 3, "terms": 1, "postings": 3, "lucene_bytes": 10, "bmp_bytes": 10, "block_size": 4,
                  "reorder": "none", "fingerprint": "f", "details": {}},
        "topics": {"name": EVIL, "queries": 2, "vectors": True, "encoder": None, "min_idf": 0},
        "qrels": {"name": EVIL, "judgements": 2}, "lucene": {"lucene": "9"}, "latency_includes_encoding": False,
        "latency": {"LuceneImpactSearcher": {"10": times, "3": times}, "BmpImpactSearcher": {"10": times, "3": times}},
        "engines": [{"engine": name, "version": "1", "state": "ran", "why": "", "k": {"3": agreed | {"same_ranking": same}}}
                    for name, same in (("b" + EVIL, 2), ("a", 10), ("c", 9))]
        + [{"engine": "d", "version": "", "state": "skipped", "why": "not installed", "k": {}}]}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium; skipped where there is none."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip(f"no browser: install one of {', '.join(BROWSERS)}")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        pytest.skip("playwright is not installed")
    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


Opened = tuple[Any, list[str]]


@pytest.fixture
def open_page(browser: Any, report: dict[str, Any], tmp_path: Path) -> Iterator[Callable[..., Opened]]:
    """Opens the page without network; returns (page, console messages and network requests)."""
    (tmp_path / "report.html").write_text(page(report), encoding="utf-8")
    contexts = []

    def get(width: int = WIDE, scheme: str = "light") -> Opened:
        context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme, offline=True)
        contexts.append(context)
        tab, console = context.new_page(), list[str]()
        tab.on("console", lambda message: console.append(message.text))
        tab.on("pageerror", lambda error: console.append(str(error)))
        tab.on("request", lambda request:
               console.append(request.url) if not request.url.startswith(("file:", "data:")) else None)
        tab.goto((tmp_path / "report.html").as_uri())
        return tab, console

    yield get
    for context in contexts:
        context.close()


def test_opens_without_network_or_errors(open_page: Any) -> None:
    tab, console = open_page()
    assert console == []
    assert "The answers differ" in tab.inner_text("body")
    assert tab.locator("details").count() >= 2


def test_names_are_text(open_page: Any) -> None:
    tab, console = open_page()
    tab.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    assert tab.evaluate("window.hacked") is None
    assert tab.locator("img").count() == 0
    assert tab.locator("script").count() == 1
    assert EVIL in tab.title()
    assert tab.inner_text("h1") == EVIL
    for section, at_least in (("#engines", 1), ("#differences", 5), ("#circumstances", 3)):
        assert tab.inner_text(section).count(EVIL) >= at_least, section
    assert EVIL_QID in tab.inner_text("#differences")
    assert console == []


def test_injected_scripts_would_not_run(browser: Any, report: dict[str, Any], tmp_path: Path) -> None:
    """Even if escaping failed, the policy would allow no script but the page's own."""
    (tmp_path / "r.html").write_text(page(report).replace("<main>", "<main><script>window.hacked=3</script>"
                                                                     "<img src=x onerror=window.hacked=4>"), encoding="utf-8")
    with browser.new_context(offline=True) as context:
        tab = context.new_page()
        tab.goto((tmp_path / "r.html").as_uri())
        assert tab.evaluate("window.hacked") is None
        assert tab.locator("th button").count() > 5


def column(tab: Any, number: int) -> list[str]:
    return [text.strip() for text in tab.locator(f"#engines tbody tr td:nth-child({number})").all_inner_texts()]


def test_tables_sort(open_page: Any) -> None:
    tab, console = open_page()
    tab.click("#engines th:nth-child(5) button")
    assert column(tab, 5) == ["2", "9", "10", ""], "by number, and what has none is last"
    assert tab.get_attribute("#engines th:nth-child(5)", "aria-sort") == "ascending"
    tab.click("#engines th:nth-child(5) button")
    assert column(tab, 5)[1:] == ["10", "9", "2"]
    tab.click("#engines th:nth-child(1) button")
    assert [text[0] for text in column(tab, 1)] == ["a", "b", "c", "d"]
    assert tab.get_attribute("#engines th:nth-child(5)", "aria-sort") is None
    tab.focus("#engines th:nth-child(1) button")
    tab.keyboard.press("Enter")
    assert [text[0] for text in column(tab, 1)] == ["d", "c", "b", "a"], "by keyboard too"
    assert console == []


def test_plots_show(open_page: Any) -> None:
    tab, _ = open_page()
    plots = tab.locator("#latency svg")
    assert plots.count() == 2
    for i in range(2):
        box = plots.nth(i).bounding_box()
        assert box["width"] > 200
        assert box["height"] > 150
        assert "milliseconds per query" in plots.nth(i).inner_html()
        paths = plots.nth(i).evaluate("svg => [...svg.querySelectorAll('path')].map(path => path.getBBox().width)")
        assert sum(width > 50 for width in paths) >= 2, "a line for each engine"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [WIDE, PHONE])
def test_readable(width: int, scheme: str, open_page: Any) -> None:
    tab, console = open_page(width, scheme)
    tab.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    assert tab.evaluate("document.documentElement.scrollWidth") <= width, "nothing but tables is wider than the screen"
    size = tab.evaluate("""() => Math.min(...[...document.querySelectorAll('p, td, th, li, dd')]
        .map(one => parseFloat(getComputedStyle(one).fontSize)))""")
    assert size >= 13
    ratios = tab.evaluate(CONTRAST)
    assert ratios
    assert min(ratios) >= 4.5, "WCAG AA"
    ground = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(255, 255, 255)") == (scheme == "light")
    assert console == []


CONTRAST = """() => {
  const parse = text => text.match(/[0-9.]+/g).map(Number);
  const luminance = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = one => { for (; one; one = one.parentElement) {
    const colour = parse(getComputedStyle(one).backgroundColor); if (colour.length < 4 || colour[3] > 0) return colour; }
    return [255, 255, 255]; };
  return [...document.querySelectorAll('h1, h2, h3, p, td, th button, summary, dt, dd, pre, #latency svg text')].map(one => {
    const style = getComputedStyle(one);
    const ink = luminance(parse(one.closest('svg') ? style.fill : style.color)), paper = luminance(ground(one));
    return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05); });
}"""


@pytest.mark.parametrize("same", [True, False])
def test_page_of_two_runs(same: bool, browser: Any, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1 Q0 x 1 2.0 t\n1 Q0 y 2 1.0 t\n")
    (tmp_path / "b").write_text("1 Q0 x 1 2.0 t\n1 Q0 y 2 1.0 t\n" if same else "1 Q0 x 1 2.0 t\n1 Q0 z 2 1.0 t\n")
    assert main(["compare", str(tmp_path / "a"), str(tmp_path / "b"), "--output", str(tmp_path / "out")]) == (0 if same else 1)
    with browser.new_context(offline=True) as context:
        tab = context.new_page()
        console: list[str] = []
        tab.on("console", lambda message: console.append(message.text))
        tab.goto((tmp_path / "out" / "report.html").as_uri())
        assert ("The same answers." if same else "Different answers.") in tab.inner_text("body")
        assert tab.locator("#differences").count() == (0 if same else 1)
        assert console == []
