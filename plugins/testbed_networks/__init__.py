"""Two-layer and deeper networks, and their linearisations."""
