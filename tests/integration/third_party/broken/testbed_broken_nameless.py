"""Offers a component without a namespace, which only testbed's basics may."""

from attrs import frozen

import testbed
from testbed import Metric


@frozen(kw_only=True)
class Norm(Metric):
    """A bare name."""

    name = "norm"


@testbed.hookimpl
def testbed_metrics():
    return [Norm]
