"""What a report says in words, in the terminal and on its page: above all the verdict and the speed-up."""
from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

Latency = Mapping[str, Mapping[str, Mapping[str, Any]]]


def speed_ups(latency: Latency, label: str | None = None) -> dict[str, float]:
    """Returns, by k, the mean latency of the first engine, which is Pyserini's, over that of another; by default the second."""
    engines = list(latency)
    if label is None and len(engines) < 2:
        return {}
    host, ours = latency[engines[0]], latency[label or engines[1]]
    return {k: host[k]["mean"] / found["mean"] for k, found in ours.items() if k in host and found["mean"] > 0}


def times_as_fast(ratios: Sequence[float]) -> str:
    """Returns "29 times as fast", or "12 to 41 times as fast", or nothing if there are no ratios."""
    if not ratios:
        return ""
    shown = list(dict.fromkeys(rounded_ratio(ratio) for ratio in (min(ratios), max(ratios))))
    return f"{' to '.join(shown)} times as fast"


def rounded_ratio(ratio: float) -> str:
    """Returns the ratio with as many digits as a reader needs."""
    return f"{ratio:,.0f}" if ratio >= 9.95 else f"{ratio:.1f}" if ratio >= 0.95 else f"{ratio:.2g}"


def verdict(report: Mapping[str, Any]) -> str:
    """Returns one sentence: whether the safe runs are Pyserini's byte for byte, and how much faster they were found."""
    safe = [one for one in report["comparisons"] if one["safe"]]
    same = sum(one["byte_identical"] for one in safe)
    return verdict_on_runs(same, len(safe), list(speed_ups(report["latency"]).values()))


def verdict_on_runs(same: int, runs: int, ratios: Sequence[float]) -> str:
    """Returns "The same 2 runs, byte for byte; 29 times as fast", or how many of the runs differ."""
    equal = "run" if runs == 1 else f"{runs} runs"
    differ = "The run differs" if runs == 1 else f"{runs - same} of {runs} runs differ"
    words = f"The same {equal}, byte for byte" if same == runs else differ
    return "; ".join(filter(None, [words, times_as_fast(ratios)]))


def signed(difference: float) -> str:
    """Returns the difference of two measures to four digits, without the look of 0 where it is not."""
    shown = f"{difference:+.4f}"
    return shown if float(shown) or not difference else "<+0.0001" if difference > 0 else ">-0.0001"


def joined(parts: Sequence[object]) -> str:
    """Returns "10, 100 and 1000"."""
    words = [str(part) for part in parts]
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def date_in_words(iso: str) -> str:
    """Returns "28 November 2026, 23:14 UTC" for an ISO 8601 date with an offset."""
    date = datetime.datetime.fromisoformat(iso)
    offset = date.strftime("%z")
    zone = "" if date.tzinfo is None else " UTC" if offset == "+0000" else f" UTC{offset[:3]}:{offset[3:5]}"
    return f"{date.day} {MONTHS[date.month - 1]} {date.year}, {date:%H:%M}{zone}"


MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
          "December")
"""In English whatever the locale, as the rest of the report is."""
