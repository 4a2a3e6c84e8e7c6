"""A plugin whose optimizer notes every training, for tests of what is trained again."""

import testbed
from testbed_counting.metric import Distance, Size
from testbed_counting.optimizer import Counted


@testbed.hookimpl
def testbed_optimizers():
    return [Counted]


@testbed.hookimpl
def testbed_metrics():
    return [Size, Distance]
