"""Functions of tensors and of trees of tensors: filters, flows, linear algebra, quadrature."""
