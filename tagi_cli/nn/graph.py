"""A directed acyclic graph of layers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from tagi_cli.errors import listing, nearest
from tagi_cli.nn.layer import Cost, Layer, Shape, ShapeError, not_taken
from tagi_cli.nn.parameters import Host, Parameters
from tagi_cli.nn.plan import Plan, Value

_T = TypeVar("_T")

INPUT = "input"
"""The name by which nodes refer to what the graph is given."""


class Junction(Layer):
    """A layer of several inputs or several outputs, for use in a `Graph`; it has no parameters.

    Attributes:
        independent: whether its formulas need inputs that are independent, so that no value may be
            given twice.
    """

    independent = False

    @abstractmethod
    def join_shapes(self, shapes: Sequence[Shape]) -> list[Shape]:
        """Shapes of one row of each output.

        Raises:
            ShapeError: the inputs do not fit together.
        """

    @abstractmethod
    def join(self, plan: Plan, values: Sequence[Value]) -> list[Value]:
        """`Layer.trace` for several values."""

    def build_all(self, shapes: Sequence[Shape]) -> list[Shape]:
        """`Layer.build` for several inputs and outputs; sizes are remembered for listings."""
        made = self.join_shapes(shapes)
        self.input_shape, self.output_shape = shapes[0], made[0]
        return made

    def _build(self, shape: Shape, parameters: Parameters, rng: np.random.Generator) -> Shape:
        made = self.join_shapes([shape])
        if len(made) != 1:
            raise ShapeError(f"{self.describe()} has {len(made)} outputs: use it in a graph")
        return made[0]

    def trace(self, plan: Plan, x: Value) -> Value:
        """See `Layer.trace`; for a junction of one input and one output."""
        return self.join(plan, [x])[0]


class Node(NamedTuple):
    """A layer in a graph.

    Attributes:
        name: how later nodes refer to it; parameters carry it, too.
        layer: what it does.
        inputs: what it is given: `input`, names of earlier nodes, or `<name>.<k>` for the k-th
            output of a node with several, from 0; one name may stand alone; by default the node
            before.
    """

    name: str
    layer: Layer
    inputs: Sequence[str] = ()


def faults(names: Sequence[str], inputs: Sequence[Sequence[str]]) -> list[str]:
    """What is wrong with the wiring of nodes, one message each; see `Node`."""
    found = []
    known = True
    if not names:
        found.append("a graph needs at least one node")
    used: set[str] = set()
    for i, name in enumerate(names):
        before = [INPUT, *names[:i]]
        if not name or "." in name or name == INPUT:
            found.append(f"node {i}: found the name '{name}'. Allowed: no dot, and not '{INPUT}'")
        if name in names[:i]:
            found.append(f"node {i}: found the name '{name}', which an earlier node has")
        for reference in inputs[i] or before[-1:]:
            source, dot, part = reference.partition(".")
            used.add(source)
            if source not in before or (dot and not part.isdecimal()):
                known = False
                found.append(
                    f"node '{name}': found the input '{reference}'.{nearest(source, before)} "
                    f"Allowed: {listing(before)}"
                )
    # An unknown input may well mean the node that nothing takes.
    if known:
        found += [
            f"node '{name}': no other node takes it. The output of a graph is its last node"
            for name in names[:-1]
            if name not in used
        ]
    return found


class Graph(Layer):
    """Layers that take their inputs from any layers before them; the last one is the output.

    Where a value has several uses, the innovations that come back add up.

    Args:
        nodes: layers with names and inputs, each after those it takes its inputs from.

    Raises:
        ValueError: a name is taken, an input is unknown, or a node is used by no other.
    """

    kind = "graph"

    def __init__(self, nodes: Sequence[Node]) -> None:
        super().__init__()
        self.nodes = list(nodes)
        taken = [(n.inputs,) if isinstance(n.inputs, str) else n.inputs for n in self.nodes]
        wrong = faults([n.name for n in self.nodes], taken)
        if wrong:
            raise ValueError("; ".join(wrong))
        self._references: list[list[tuple[str, int | None]]] = []
        before = INPUT
        for node, inputs in zip(self.nodes, taken, strict=True):
            parts = [name.partition(".") for name in inputs or (before,)]
            references = [(name, int(k) if k else None) for name, _, k in parts]
            twice = next((n for i, n in enumerate(inputs) if n in inputs[:i]), None)
            if twice is not None and isinstance(node.layer, Junction) and node.layer.independent:
                raise ValueError(
                    f"node '{node.name}': takes '{twice}' twice, and a value is not independent of "
                    "itself; use a scale"
                )
            self._references.append(references)
            before = node.name

    def wiring(self) -> list[tuple[Node, list[str]]]:
        """Each node with the names of its inputs, as `Node` has them, none left out."""
        return [
            (node, [name if k is None else f"{name}.{k}" for name, k in references])
            for node, references in zip(self.nodes, self._references, strict=True)
        ]

    def describe(self) -> str:
        """Name and number of nodes."""
        return f"{self.name}({len(self.nodes)})"

    def _build(self, shape: Shape, parameters: Parameters, rng: np.random.Generator) -> Shape:
        shapes: dict[str, list[Shape]] = {INPUT: [shape]}
        for node, references in zip(self.nodes, self._references, strict=True):
            inputs = [_part(name, k, shapes[name], node.name) for name, k in references]
            with parameters.scope(node.name):
                try:
                    shapes[node.name] = _build_node(node.layer, inputs, parameters, rng)
                except ShapeError as error:
                    pairs = zip(references, inputs, strict=True)
                    sources = ", ".join(f"{name} {given}" for (name, _), given in pairs)
                    raise not_taken(f"node '{node.name}'", error, sources) from None
        last = self.nodes[-1].name
        if len(shapes[last]) > 1:
            raise ShapeError(
                f"node '{last}' is the last one and has {len(shapes[last])} outputs; the output of "
                "a graph is one"
            )
        return shapes[last][0]

    def trace(self, plan: Plan, x: Value) -> Value:
        """See `Layer.trace`."""
        values: dict[str, list[Value]] = {INPUT: [x]}
        for node, references in zip(self.nodes, self._references, strict=True):
            inputs = [values[name][k or 0] for name, k in references]
            layer = node.layer
            with plan.inside(node.name):
                values[node.name] = (
                    layer.join(plan, inputs)
                    if isinstance(layer, Junction)
                    else [layer.trace_in_mode(plan, inputs[0])]
                )
        plan.nodes[self] = values
        return values[self.nodes[-1].name][0]

    def input_check(self) -> Callable[[Host], None] | None:
        """Those of all layers that see the input itself, or parts of it."""
        views: dict[str, Callable[[Host], list[Host]]] = {INPUT: lambda x: [x]}
        checks: list[Callable[[Host], None]] = []
        for node, references in zip(self.nodes, self._references, strict=True):
            name, k = references[0]
            if len(references) > 1 or name not in views:
                continue
            check, moved = node.layer.input_check(), node.layer.moved()
            if check is not None:
                checks.append(_behind(views[name], k, check))
            elif moved is not None:
                views[node.name] = _behind(views[name], k, moved)

        def checked(x: Host) -> None:
            for check in checks:
                check(x)

        return checked if checks else None

    def children(self) -> list[tuple[str, Layer]]:
        """The layers of the nodes, by the nodes' names."""
        return [(node.name, node.layer) for node in self.nodes]

    def costs(self) -> list[Cost]:
        """Entries of all nodes."""
        return [cost for node in self.nodes for cost in node.layer.costs()]


def _behind(
    view: Callable[[Host], list[Host]], k: int | None, follow: Callable[[Host], _T]
) -> Callable[[Host], _T]:
    """What `follow` makes of the k-th value of a view of the input."""
    return lambda x: follow(view(x)[k or 0])


def _part(name: str, k: int | None, shapes: list[Shape], where: str) -> Shape:
    """Shape of the k-th output of a node, which goes without saying where it is the only one."""
    if (len(shapes) == 1 and not k) or (k is not None and k < len(shapes)):
        return shapes[k or 0]
    names = [f"{name}.{i}" for i in range(len(shapes))] if len(shapes) > 1 else [name]
    found = f"'{name}', which has {len(shapes)} outputs" if k is None else f"'{name}.{k}'"
    raise ShapeError(f"node '{where}': takes {found}. Allowed: {listing(names)}")


def _build_node(
    layer: Layer, inputs: list[Shape], parameters: Parameters, rng: np.random.Generator
) -> list[Shape]:
    if isinstance(layer, Junction):
        return layer.build_all(inputs)
    if len(inputs) != 1:
        raise ShapeError(f"{layer.describe()} takes one input but gets {len(inputs)}")
    return [layer.build(inputs[0], parameters, rng)]
