"""What plugins build on: components, the values that cross between them, parameters and hooks.

Everything that plugins need is also a public name of `testbed`; they import it from there. Other
packages of testbed use all modules.
"""
