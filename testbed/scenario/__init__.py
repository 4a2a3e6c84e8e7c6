"""A scenario file as frozen classes: its text is read strictly, and written back.

Others use `scenario.scenario` (the classes, and `parse_scenario`), `scenario.specs` (components as
the file writes them) and `scenario.writing`.
"""
