"""Implements a hook that does not exist."""

import testbed


@testbed.hookimpl
def testbed_modles():
    return []
