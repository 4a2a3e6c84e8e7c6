"""Files that claim what they do not hold, or that are no files of numbers."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest

from testbed.errors import UnsuitableError
from testbed_basics.designs.pools import read
from testbed_sequence.targets.signals import Coefficients


def test_an_archive_that_claims_more_than_it_holds_is_refused_before_room_is_taken(tmp_path):
    file = tmp_path / "claims.npz"
    header = io.BytesIO()
    claim = {"descr": "<f8", "fortran_order": False, "shape": (10**11, 1)}
    np.lib.format.write_array_header_1_0(header, claim)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", header.getvalue() + b"0" * 100)
        archive.writestr("y.npy", header.getvalue() + b"0" * 100)
    with pytest.raises(UnsuitableError, match="claims the shape"):
        read("file", file, 0.0)
    np.savez(file, x=np.ones((3, 2)), y=np.arange(3))
    assert read("file", file, 1.0).train.x.shape == (3, 2)


def test_coefficients_quote_no_line_of_a_file_and_read_no_device(tmp_path):
    secret = tmp_path / "secret.csv"
    secret.write_text("root:secret:0\n")
    with pytest.raises(UnsuitableError) as caught:
        Coefficients(path=str(secret)).values(None, np.arange(1.0, 4.0))
    assert "root:" not in str(caught.value) and "one number a line" in str(caught.value)
    with pytest.raises(UnsuitableError, match="found no file /dev/zero"):
        Coefficients(path="/dev/zero").values(None, np.arange(1.0, 4.0))
