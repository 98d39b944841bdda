"""The benchmark's results: measurements as figures for a JSON file, and figures as Markdown tables."""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .engines import ENGINES
from .runner import Row

Result = dict[str, Any]
MS = 1e3


def figures(row: Row, num_postings: int) -> Result:
    """Returns all figures of a configuration; times in milliseconds, a list for one figure per round.

    A query's time is its median over the rounds; mean, median and p99 are over queries. ``round_mean_ms`` and
    ``round_p99_ms`` are those of each round alone: their spread shows the noise of the machine.
    """
    by_k: Result = {}
    for k in row.agreement:
        found: Result = dict(row.agreement[k])
        if k in row.times:
            found |= _times(np.array(row.times[k]) * MS) | {"processor_ms": float(np.median(row.processor[k]) * MS)}
        if k in row.kernel:
            found["kernel_ms"] = [seconds * MS for seconds in row.kernel[k]]
        if k in row.throughput:
            found["queries_a_second"] = {str(threads): rates for threads, rates in row.throughput[k].items()}
        by_k[str(k)] = found
    again = row.starts[1:] or row.starts                    # the first start may compile kernels, and reads files from disk
    starts = {name: float(np.median([start[name] for start in again])) for name in row.starts[0]}
    return {"engine": row.configuration.engine, "settings": dict(row.configuration.settings), "index_bytes": row.index_bytes,
            "bytes_a_posting": row.index_bytes / max(1, num_postings), "build": row.build, "new_process": starts,
            "serving": row.serving, "gains_of_two_threads": row.gains, "k": by_k}


def is_safe(engine: Result) -> bool:
    """Tells if a configuration's settings leave its engine's answers as they are, as the number of threads does."""
    return set(engine["settings"]) <= {"threads"}


def _times(times: Any) -> Result:
    """Returns the figures of times float64[rounds, queries]."""
    a_query = np.median(times, axis=0)
    return {"mean_ms": float(a_query.mean()), "median_ms": float(np.median(a_query)),
            "p99_ms": float(np.percentile(a_query, 99)), "round_mean_ms": times.mean(axis=1).tolist(),
            "round_p99_ms": np.percentile(times, 99, axis=1).tolist()}


def circumstances(machine: Mapping[str, Any], versions: Mapping[str, str]) -> str:
    """A sentence on the machine and the versions, as :mod:`bmp_plugin.report.machine` finds them."""
    return (f"{machine['processor']}, {machine['cores']} cores, {machine['memory_bytes'] / 2**30:.0f} GiB, "
            f"{machine['system']}; " + ", ".join(f"{name} {version}" for name, version in versions.items()) + ".")


def markdown(result: Result) -> str:
    """Returns the result of one collection as a Markdown document."""
    collection, machine = result["collection"], result["machine"]
    lines = [
        f"# {collection['name']}", "",
        f"{collection['documents']:,} documents, {collection['postings']:,} postings, {result['queries']:,} queries of "
        f"{result['tokens_a_query']:.1f} tokens, {result['rounds']} rounds, {result['date']}.", "",
        circumstances(machine, result["versions"]),
        "Licences: " + ", ".join(f"{name} {licence}" for name, licence in result["licences"].items()) + ".", "",
        f"    {result['command']}", "",
        "A query's time is its median over the rounds, in milliseconds; in parentheses are the smallest and the largest mean "
        f"of a round; processor is the mean time of all threads. Answers are compared with those of {result['reference']}.", ""]
    engines = result["engines"]
    safe = {label: engine for label, engine in engines.items() if is_safe(engine)}
    for k in result["k"]:
        lines += _section(f"k = {k}", _latency_table(safe, str(k)))
    for k in result["k"]:
        by_overlap = dict(sorted(engines.items(), key=lambda item: -item[1]["k"][str(k)]["overlap"]))
        lines += _section(f"Approximate, k = {k}", _latency_table(
            {label: engine for label, engine in by_overlap.items() if not is_safe(engine)}, str(k)))
    lines += _section("Kernel time, mean milliseconds", _kernel_table(safe, result["k"]))
    lines += _section("Speed-up", _ratio_table(safe, result["k"]))
    lines += _section("Batch of all queries, queries per second", _batch_table(safe, result["k"]))
    gains = [gain for engine in safe.values() for gain in engine["gains_of_two_threads"]]
    if gains:
        lines += [f"Two threads that share nothing did {np.median(gains):.2f} times the work of one on this machine during the"
                  f" benchmark ({_range(gains, '.2f')}).", ""]
    lines += ["## Index and process start", "", *_index_table(result), ""]
    return "\n".join(lines)


def _section(title: str, table: list[str]) -> list[str]:
    return [f"## {title}", "", *table, ""] if len(table) > 2 else []


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def _head(*cells: str) -> list[str]:
    return [_row(*cells), "|" + "---|" * len(cells)]


def _latency_table(engines: Result, k: str) -> list[str]:
    judged = any("ndcg_10" in engine["k"][k] for engine in engines.values())
    lines = _head("engine", "mean", "median", "p99", "processor", "same ranking", "same scores too", "overlap",
                  *["nDCG@10"] * judged)
    for label, engine in engines.items():
        found = engine["k"][k]
        times = [f"{found['mean_ms']:.3f} ({_range(found['round_mean_ms'], '.3f')})", f"{found['median_ms']:.3f}",
                 f"{found['p99_ms']:.2f}", f"{found['processor_ms']:.3f}"] if "mean_ms" in found else [""] * 4
        lines.append(_row(label, *times, f"{found['same_ranking']}", f"{found['same_scores_too']}", f"{found['overlap']:.4f}",
                          *[f"{found.get('ndcg_10', float('nan')):.4f}"] * judged))
    return lines


def _range(values: Sequence[float], form: str) -> str:
    return f"{min(values):{form}} to {max(values):{form}}"


def _kernel_table(engines: Result, ks: Sequence[int]) -> list[str]:
    lines = _head("engine", *(f"k = {k}" for k in ks))
    for label, engine in engines.items():
        found = [engine["k"][str(k)].get("kernel_ms") for k in ks]
        if any(found):
            lines.append(_row(label, *(f"{np.median(values):.3f} ({_range(values, '.3f')})" if values else ""
                                       for values in found)))
    return lines


def _ratio_table(engines: Result, ks: Sequence[int]) -> list[str]:
    """Compares ours with every other kind of engine, at the best of its block sizes for each figure."""
    figures_of: dict[str, Callable[[Result], float | None]] = {
        "mean": lambda found: found.get("mean_ms"), "p99": lambda found: found.get("p99_ms"),
        "kernel": lambda found: float(np.median(found["kernel_ms"])) if "kernel_ms" in found else None}
    lines = _head("", "against", *(f"{figure}, k = {k}" for k in ks for figure in figures_of))
    ours = [label for label, engine in engines.items() if engine["engine"] in ("ours", "ours-bp", "ours-leading", "drop-in")]
    for label in ours:
        for kind, members in _kinds(engines, ours).items():
            cells = []
            for k in ks:
                for figure in figures_of.values():
                    mine = figure(engines[label]["k"][str(k)])
                    theirs = [value for member in members if (value := figure(engines[member]["k"][str(k)])) is not None]
                    cells.append(f"{min(theirs) / mine:.2f}" if mine and theirs else "")
            if any(cells):
                lines.append(_row(label, kind, *cells))
    return lines


def _kinds(engines: Result, ours: Sequence[str]) -> dict[str, list[str]]:
    kinds: dict[str, list[str]] = {}
    for label, engine in engines.items():
        if label not in ours:
            kind = ENGINES[engine["engine"]].kind
            kinds.setdefault(kind, []).append(label)
    return {f"{kind}, best of {len(members)}" if len(members) > 1 else kind: members for kind, members in kinds.items()}


def _batch_table(engines: Result, ks: Sequence[int]) -> list[str]:
    lines = _head("engine", *(f"k = {k}: 1 thread, 2 threads, ratio" for k in ks))
    for label, engine in engines.items():
        cells = []
        for k in ks:
            rates = engine["k"][str(k)].get("queries_a_second")
            if rates:
                one, two = (float(np.median(rates[threads])) for threads in ("1", "2"))
                cells.append(f"{one:,.0f}, {two:,.0f}, {two / one:.2f}")
            else:
                cells.append("")
        if any(cells):
            lines.append(_row(label, *cells))
    return lines


def _index_table(result: Result) -> list[str]:
    lines = _head("engine", "MB", "bytes per posting", "build time, s", "peak memory of the build, MB", "anonymous",
                  "import s", "open s", "first query s", "serving memory, MB", "anonymous")
    seen = set()
    for engine in result["engines"].values():
        if engine["engine"] in seen:
            continue
        seen.add(engine["engine"])
        build, new = engine["build"], engine["new_process"]
        built = [f"{build['seconds']:.1f}", _megabytes(build, "peak_bytes"), _megabytes(build, "peak_anonymous_bytes")] \
            if build else [""] * 3
        lines.append(_row(engine["engine"], f"{engine['index_bytes'] / 1e6:,.1f}", f"{engine['bytes_a_posting']:.2f}", *built,
                          f"{new['import_s']:.2f}", f"{new['open_s']:.3f}", f"{new['first_query_s']:.3f}",
                          *(_megabytes(engine.get("serving", {}), name) for name in ("resident_bytes", "anonymous_bytes"))))
    return lines


def _megabytes(found: Result, name: str) -> str:
    return f"{found[name] / 1e6:,.0f}" if found.get(name) else ""
