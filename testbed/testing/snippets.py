"""The shortest code that shows a broken law: a call of `try_law` with the case's parts."""

from __future__ import annotations

import sys

from testbed.contract.components import Component
from testbed.contract.grids import Grid
from testbed.scenario.component import Spec
from testbed.testing.cases import TIMES, Case, make_case
from testbed.testing.laws import Law

PARTS = ("design", "target", "model", "optimizer")


def snippet(law: Law, case: Case) -> str:
    """Python code that tries the law on the case, as an author can paste it."""
    parts = [case.component, *_named_partners(case).values()]
    arguments = [f'"{law.name}"', expression(case.component)]
    arguments += [f"{kind}={expression(part)}" for kind, part in _named_partners(case).items()]
    if case.times != TIMES:
        arguments.append(f"times={case.times!r}")
    imports = sorted({line for part in parts for line in imports_of(part)})
    lines = [
        *imports,
        "from testbed.testing import try_law",
        "",
        f"try_law({', '.join(arguments)})",
    ]
    return "\n".join(lines)


def _named_partners(case: Case) -> dict[str, Component]:
    """The partners that `make_case` would not choose by itself."""
    try:
        if make_case(case.component, times=case.times) == case:
            return {}
    except Exception:
        pass  # the component does not fit the partners that it would be given
    return {kind: getattr(case, kind) for kind in PARTS if kind != case.component.kind}


def expression(value: object) -> str:
    """A component, or a parameter of one, as Python code."""
    if isinstance(value, Component):
        items = Spec.of(value).values.items()
        return f"{type(value).__qualname__}({', '.join(f'{k}={expression(v)}' for k, v in items)})"
    if isinstance(value, Spec):
        items = value.values.items()
        name = value.component.__qualname__
        return f"{name}({', '.join(f'{k}={expression(v)}' for k, v in items)})"
    return repr(value)


def imports_of(component: Component) -> list[str]:
    """The lines that import what `expression` names, for classes that can be imported."""
    return list(dict.fromkeys(_imports(Spec.of(component))))


def _imports(spec: Spec) -> list[str]:
    lines = [_import(spec.component)]
    for value in spec.values.values():
        if isinstance(value, Spec):
            lines += _imports(value)
        elif isinstance(value, Grid):
            lines.append("from testbed import Grid")
    return [line for line in lines if line]


def _import(cls: type) -> str:
    """The import of a class; a comment if its module does not hold it under its name."""
    module = sys.modules.get(cls.__module__)
    if getattr(module, cls.__qualname__, None) is cls:
        return f"from {cls.__module__} import {cls.__qualname__}"
    return f"# {cls.__qualname__} is defined in {cls.__module__}"
