"""Functions of tensors and of trees of tensors: filters, flows, linear algebra, quadrature.

Plugins and other packages import all modules.
"""
