"""What plugins build on: components, the values that cross between them, parameters and hooks.

Everything here is also a public name of `testbed`; plugins import it from there.
"""
