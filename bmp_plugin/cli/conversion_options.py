"""Options of ``bmp-plugin index`` that convert postings, quantization and static pruning, and the report of their effect."""
from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bmp_plugin.adapters.sources.pruning import Pruning

    from ..index.quantization import Quantization

_PRUNING = {"document_share": 1.0, "term_share": 1.0, "drop_documents": None, "quality": None, "min_quality": None,
            "quality_share": None}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds both groups of options."""
    quantized = parser.add_argument_group("float weights (JSON vectors)")
    quantized.add_argument("--quantize", type=int, metavar="BITS", default=argparse.SUPPRESS,
                           help="quantize float weights to impacts of BITS bits, 1 to 16; query weights are scaled likewise")
    quantized.add_argument("--quantize-scale", type=float, metavar="S", default=argparse.SUPPRESS,
                           help="impact of a weight of 1 (default: the largest weight becomes the largest impact)")
    pruned = parser.add_argument_group("static pruning", "What is dropped is reported; search is exact on what is kept.")
    for name, whose in (("--keep-document-share", "each document's"), ("--keep-term-share", "each term's")):
        pruned.add_argument(name, type=float, metavar="S", default=1.0,
                            help=f"keep this share of {whose} postings, those of the largest impacts")
    pruned.add_argument("--drop-documents", metavar="FILE", default=argparse.SUPPRESS,
                        help="drop the documents in this file, one docid per line")
    pruned.add_argument("--quality", metavar="FILE", default=argparse.SUPPRESS,
                        help="quality scores of the documents, one `docid score` per line")
    pruned.add_argument("--min-quality", type=float, metavar="X", default=argparse.SUPPRESS,
                        help="drop documents with a lower quality score")
    pruned.add_argument("--keep-quality-share", type=float, metavar="S", default=argparse.SUPPRESS,
                        help="keep this share of the documents, those of the best quality scores")


def quantization_of(args: argparse.Namespace) -> Quantization | None:
    """Returns the quantization that the options request."""
    scale = getattr(args, "quantize_scale", None)
    if not hasattr(args, "quantize"):
        if scale is not None:
            raise ValueError("--quantize-scale: goes with --quantize BITS")
        return None
    from ..index.quantization import Quantization

    return Quantization(args.quantize, scale)


def pruning_of(args: argparse.Namespace) -> Pruning | None:
    """Returns the pruning that the options request."""
    from bmp_plugin.adapters.sources.pruning import Pruning

    options = {"document_share": "keep_document_share", "term_share": "keep_term_share",
               "quality_share": "keep_quality_share"}
    given: dict[str, Any] = {name: getattr(args, options.get(name, name), default) for name, default in _PRUNING.items()}
    return Pruning(**given) or None


def report(details: Mapping[str, Any]) -> Iterator[str]:
    """Yields a line about each kind of posting that was dropped."""
    if quantized := details.get("quantize"):
        yield (f"quantized to {quantized['bits']} bits, scale {quantized['scale']:.6g}: {quantized['dropped']:,} weights"
               f" rounded to 0 and dropped, {quantized['clipped']:,} clipped to the largest impact")
    pruned = details.get("pruning")
    if not pruned:
        return
    for name, what in (("documents", "documents"), ("postings_of_documents", "postings, with their documents"),
                       ("by_document", "postings, by document"), ("by_term", "postings, by term")):
        if pruned[name]["dropped"]:
            yield f"pruned {pruned[name]['dropped']:,} {what} ({100 * pruned[name]['share']:.2f} %)"
