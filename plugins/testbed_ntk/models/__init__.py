"""The kernels that a scenario can name."""

from testbed_ntk.models.combinations import Product, Sum
from testbed_ntk.models.inner_products import DotProduct, Polynomial
from testbed_ntk.models.stationary import Laplace, Matern, Periodic, RationalQuadratic, Rbf
from testbed_ntk.models.torus import Torus
from testbed_ntk.models.wide_networks import NetworkProcess, NetworkTangent, ReluTangent

__all__ = [
    "DotProduct",
    "Laplace",
    "Matern",
    "NetworkProcess",
    "NetworkTangent",
    "Periodic",
    "Polynomial",
    "Product",
    "RationalQuadratic",
    "Rbf",
    "ReluTangent",
    "Sum",
    "Torus",
]
