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
WIDE, PHONE = 1280, 390


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
    slow = {"mean": 8.0, "median": 8.0, "p95": 12.0, "p99": 12.0, "ms": [4.0, 12.0]}
    return found | {
        "title": EVIL, "comparisons": [one], "refused": [{"engine": "e", "k": 3, "qid": EVIL_QID, "reason": EVIL}],
        "index": {"name": EVIL, "documents": 3, "terms": 1, "postings": 3, "lucene_bytes": 10, "bmp_bytes": 10, "block_size": 4,
                  "reorder": "none", "fingerprint": "f", "details": {}},
        "topics": {"name": EVIL, "queries": 2, "vectors": True, "encoder": None, "min_idf": 0},
        "qrels": {"name": EVIL, "judgements": 2}, "lucene": {"lucene": "9"}, "latency_includes_encoding": False,
        "latency": {"LuceneImpactSearcher": {"10": slow, "3": slow}, "BmpImpactSearcher": {"10": times, "3": times}},
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
    assert EVIL in tab.inner_text(".title")
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
    tab.click("#engines th:nth-child(4) button")
    assert column(tab, 4) == ["2", "9", "10"], "by number"
    assert tab.get_attribute("#engines th:nth-child(4)", "aria-sort") == "ascending"
    tab.click("#engines th:nth-child(4) button")
    assert column(tab, 4) == ["10", "9", "2"]
    tab.click("#engines th:nth-child(1) button")
    assert [text[0] for text in column(tab, 1)] == ["a", "b", "c"]
    assert tab.get_attribute("#engines th:nth-child(4)", "aria-sort") is None
    tab.focus("#engines th:nth-child(1) button")
    tab.keyboard.press("Enter")
    assert [text[0] for text in column(tab, 1)] == ["c", "b", "a"], "by keyboard too"
    assert console == []


@pytest.mark.parametrize("width", [WIDE, PHONE])
def test_headline_then_one_plot(width: int, open_page: Any) -> None:
    tab, _ = open_page(width)
    headline, plot = tab.locator("h1"), tab.locator("svg")
    assert headline.inner_text().split("\n") == ["The answers differ.", "4.0 times as fast."]
    assert tab.evaluate("parseFloat(getComputedStyle(document.querySelector('h1')).fontSize)") >= 32
    assert plot.count() == 1
    assert plot.bounding_box()["y"] > headline.bounding_box()["y"]
    assert plot.locator("circle").count() == 4, "each engine for each k"
    assert plot.locator("circle.ours").first.bounding_box()["x"] < plot.locator("circle.host").first.bounding_box()["x"]
    texts = tab.evaluate("""() => [...document.querySelectorAll('svg text')].map(one => one.getBoundingClientRect())
        .map(box => [box.left, box.right, box.top, box.bottom])""")
    assert min(left for left, *_ in texts) >= 0
    assert max(right for _, right, *_ in texts) <= width
    for i, one in enumerate(texts):
        for other in texts[i + 1:]:
            assert one[1] <= other[0] or other[1] <= one[0] or one[3] <= other[2] + 4 or other[3] <= one[2] + 4, "texts overlap"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [WIDE, PHONE])
def test_readable(width: int, scheme: str, open_page: Any) -> None:
    tab, console = open_page(width, scheme)
    tab.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    assert tab.evaluate("document.documentElement.scrollWidth") <= width, "nothing but tables is wider than the screen"
    assert tab.evaluate(BROKEN_WORDS) == []
    assert tab.evaluate(SCROLLERS) == [], "what scrolls has a shadow, a name, and is reached by the keyboard"
    size = tab.evaluate("""() => Math.min(...[...document.querySelectorAll('p, td, th, li, dd')]
        .map(one => parseFloat(getComputedStyle(one).fontSize)))""")
    assert size >= 13
    ratios = tab.evaluate(CONTRAST)
    assert ratios
    assert min(ratios) >= 4.5, "WCAG AA"
    ground = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(255, 255, 255)") == (scheme == "light")
    assert console == []


# words of letters in tables that stand on two lines
BROKEN_WORDS = """() => [...document.querySelectorAll('td, th')].flatMap(cell => {
  const broken = [], walker = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) for (const found of walker.currentNode.data.matchAll(/[A-Za-z0-9]+/g)) {
    const range = document.createRange();
    range.setStart(walker.currentNode, found.index);
    range.setEnd(walker.currentNode, found.index + found[0].length);
    if (new Set([...range.getClientRects()].map(box => box.top)).size > 1) broken.push(found[0]);
  }
  return broken; })"""

SCROLLERS = """() => [...document.querySelectorAll('table')].map(table => table.parentElement).filter(one =>
  getComputedStyle(one).overflowX !== 'auto' || !getComputedStyle(one).backgroundImage.includes('gradient')
  || one.tabIndex !== 0 || !one.ariaLabel).map(one => one.outerHTML)"""

CONTRAST = """() => {
  const parse = text => text.match(/[0-9.]+/g).map(Number);
  const luminance = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = one => { for (; one; one = one.parentElement) {
    const colour = parse(getComputedStyle(one).backgroundColor); if (colour.length < 4 || colour[3] > 0) return colour; }
    return [255, 255, 255]; };
  const texts = 'h1 span, h2, h3, p, td, th button, summary, figcaption, dt, dd, pre, #latency svg text';
  return [...document.querySelectorAll(texts)].map(one => {
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


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of two runs with 120 queries that differ, ever later in the ranking."""
    folder = tmp_path_factory.mktemp("many")
    docids = [f"d{rank}" for rank in range(130)]
    for name in ("a", "b"):
        lines = []
        for query in range(120):
            ranking = [f"{docid}{'x' if name == 'b' and rank == 119 - query else ''}" for rank, docid in enumerate(docids)]
            lines += [f"q{query} Q0 {docid} {rank} {200 - rank}.0 t\n" for rank, docid in enumerate(ranking, 1)]
        (folder / name).write_text("".join(lines))
    assert main(["compare", str(folder / "a"), str(folder / "b"), "--output", str(folder / "out")]) == 1
    return folder / "out" / "report.html"


def visible(tab: Any) -> list[str]:
    return [text.split()[1] for text in tab.locator(".queries > details:visible > summary").all_inner_texts()]


def test_many_differences_are_searched_and_paged(many: Path, browser: Any) -> None:
    with browser.new_context(offline=True) as context:
        tab = context.new_page()
        tab.goto(many.as_uri())
        assert visible(tab) == [f"q{119 - i}" for i in range(50)], "the worst first"
        assert "1 to 50 of 120" in tab.inner_text(".controls")
        tab.click("text=Next")
        tab.click("text=Next")
        assert visible(tab) == [f"q{19 - i}" for i in range(20)]
        assert tab.locator("text=Next").is_disabled()
        tab.fill("input[type=search]", "Q11")
        assert visible(tab) == ["q119", "q118", "q117", "q116", "q115", "q114", "q113", "q112", "q111", "q110", "q11"]
        tab.fill("input[type=search]", "d77x")
        assert visible(tab) == ["q42"], "by docid"
        tab.fill("input[type=search]", "nothing like it")
        assert visible(tab) == []


def test_read_without_javascript(many: Path, browser: Any) -> None:
    with browser.new_context(offline=True, java_script_enabled=False) as context:
        tab = context.new_page()
        tab.goto(many.as_uri())
        assert len(visible(tab)) == 120
        assert not tab.locator("input:visible, button:visible").count(), "nothing that would not work"
