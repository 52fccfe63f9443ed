"""Which faults to put into the code: a random sample of places, and for each one of the mutants that cosmic-ray makes there.

Drawn are places, not mutants: a plus sign has eleven mutants and a loop has one, and the eleven are seen or missed together. What cannot be executed,
and what changes nothing but a type hint, is no mutant: the former would be found by any test, the latter by none.
"""

from __future__ import annotations

import ast
import random
import uuid
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names
from cosmic_ray.work_item import MutationSpec, WorkItem


def places(modules: Iterable[Path]) -> list[list[MutationSpec]]:
    """Every place of some modules with its mutants, in the order of the text."""
    operators = {name: get_operator(name) for name in operator_names()}
    plain = {name: make() for name, make in operators.items() if not make.arguments()}
    found: dict[tuple[str, tuple[int, int], tuple[int, int]], list[MutationSpec]] = {}
    for module in modules:
        nodes = list(ast_nodes(get_ast(module.read_text(encoding="utf-8"))))
        for name, operator in plain.items():
            positions = (position for node in nodes for position in operator.mutation_positions(node))
            for occurrence, (start, end) in enumerate(positions):
                spec = MutationSpec(module, name, occurrence, start, end)
                found.setdefault((str(module), start, end), []).append(spec)
    return [found[place] for place in sorted(found)]


def mutated(spec: MutationSpec) -> str | None:
    """Text of a module with the fault in it; ``None`` where that cannot be executed, or where nothing but type hints differs."""
    before = spec.module_path.read_text(encoding="utf-8")
    try:
        after = mutate_code(before, get_operator(spec.operator_name)(), spec.occurrence)
    except AttributeError:  # cosmic-ray cannot replace an exception whose name has a dot
        return None
    if after is None:
        return None
    try:
        with warnings.catch_warnings(action="error"):  # what Python warns of, pytest takes for a failure
            compile(after, str(spec.module_path), "exec", dont_inherit=True)
    except (SyntaxError, SyntaxWarning, ValueError):
        return None
    return None if _executed(after) == _executed(before) else after


def sample(modules: Iterable[Path], size: int, seed: int) -> Iterator[WorkItem]:
    """Mutants of so many places, no place twice; the same for the same code and seed."""
    chance = random.Random(seed)
    drawn = places(modules)
    chance.shuffle(drawn)
    for specs in drawn:
        if size <= 0:
            return
        chosen = next((spec for spec in chance.sample(specs, len(specs)) if mutated(spec) is not None), None)
        if chosen is not None:
            size -= 1
            yield WorkItem.single(uuid.UUID(int=chance.getrandbits(128)).hex, chosen)


class _WithoutHints(ast.NodeTransformer):
    """Takes type hints out of a tree: the modules read none of them (``from __future__ import annotations``)."""

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = ast.Constant(None)
        return self.generic_visit(node)


def _executed(text: str) -> str:
    return ast.dump(_WithoutHints().visit(ast.parse(text)))
