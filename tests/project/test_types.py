"""Functions that mypy is not told about are kernels, whose types numba infers, and nothing else."""
from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_only_kernels_are_untyped() -> None:
    """pyproject.toml exempts the modules of kernels from mypy's check for types; only kernels may make use of that."""
    kernels = 0
    for folder in ("bmp_plugin", "adapters"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                    typed = node.returns is not None and all(
                        argument.annotation is not None for argument in arguments if argument.arg not in ("self", "cls"))
                    decorators = {decorator.id for decorator in node.decorator_list if isinstance(decorator, ast.Name)}
                    is_kernel = bool({"kernel", "inline_kernel", "small_kernel", "inline_part"} & decorators)
                    kernels += is_kernel
                    assert typed or is_kernel, f"{path}, line {node.lineno}: {node.name} has no types, and is no kernel"
    assert kernels > 100
