"""Cannot even be imported."""

raise RuntimeError("a library that it needs is missing")
