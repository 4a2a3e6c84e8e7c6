"""Takes the name of a component that is there already."""

from attrs import frozen

import testbed
from testbed import Model


@frozen(kw_only=True)
class Fixed(Model):
    """Another one of this name."""

    name = "sequence.fixed"


@testbed.hookimpl
def testbed_models():
    return [Fixed]
