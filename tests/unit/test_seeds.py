"""Randomness starts in one place and is keyed by seed, role and replicate alone."""

from __future__ import annotations

import numpy as np
import pytest

from testbed.contract.seeds import ROLES, Streams

GOLDEN = [1.4890367781971598, -0.02415356912606848]


def test_every_seed_role_and_replicate_has_its_own_stream():
    draws = {
        tuple(Streams(seed, replicate)(role).standard_normal(3))
        for seed in (0, 1)
        for replicate in range(3)
        for role in ROLES
    }
    assert len(draws) == 2 * 3 * len(ROLES)


def test_a_longer_sample_extends_a_shorter_one():
    rows = [Streams(5, 2)("inputs").standard_normal((n, 4)) for n in (100, 1000)]
    np.testing.assert_array_equal(rows[0], rows[1][:100])


def test_shared_inputs_belong_to_replicate_zero_and_noise_does_not():
    shared, actual = Streams(5, 3, shared_inputs=True), Streams(5, 3)
    first = Streams(5, 0)
    for role in ROLES:
        source = first if role in ("inputs", "test") else actual
        np.testing.assert_array_equal(
            shared(role).standard_normal(4), source(role).standard_normal(4)
        )


def test_the_streams_never_change_between_versions():
    """A golden value: results of stored scenarios depend on it."""
    np.testing.assert_allclose(Streams(2024, 7)("noise").standard_normal(2), GOLDEN, rtol=0, atol=0)


def test_unknown_roles_are_named():
    with pytest.raises(ValueError, match=r"stream 'nose', expected one of 'inputs'.*mean 'noise'"):
        Streams(0, 0)("nose")
