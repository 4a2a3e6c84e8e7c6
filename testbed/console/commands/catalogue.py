"""Commands about what is installed: components and plugins."""

from __future__ import annotations

import click

from testbed.console.commands.common import explained

KINDS = ("designs", "targets", "models", "optimizers", "metrics", "theories")


@click.command(name="list")
@click.argument("kind", required=False, type=click.Choice(KINDS))
@explained
def list_components(kind: str | None) -> None:
    """List components, all or of one KIND."""
    from testbed.console.describe import list_tables
    from testbed.console.tables import show
    from testbed.loading import load_registry

    show(list_tables(load_registry(), kind))


@click.command()
@click.argument("name")
@explained
def describe(name: str) -> None:
    """Describe a component: parameters, bounds, units, references, an example."""
    from testbed.console.describe import component_parts
    from testbed.console.tables import show
    from testbed.loading import load_registry

    registry = load_registry()
    show(component_parts(registry.find(name), registry))


@click.command()
@click.option("--page", is_flag=True, help="Print the reference page instead, in Markdown.")
@explained
def schema(page: bool) -> None:
    """Print the scenario language as JSON Schema, with all installed components, for editors."""
    import json

    from testbed.loading import load_registry
    from testbed.scenario.reference import reference_page
    from testbed.scenario.schema import scenario_schema

    if page:
        click.echo(reference_page(), nl=False)
        return
    made = scenario_schema(load_registry().components())
    click.echo(json.dumps(made, indent=1, ensure_ascii=False))


@click.command()
@explained
def plugins() -> None:
    """List the installed plugins, broken ones with their error."""
    from testbed.console.describe import plugins_table
    from testbed.console.tables import show
    from testbed.loading import load_registry

    show([plugins_table(load_registry())])
