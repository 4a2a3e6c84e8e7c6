"""Image files: read right, and refused with a reason when they are damaged, foreign or missing."""

from __future__ import annotations

import gzip
import tarfile

import numpy as np
import pytest

from testbed.errors import UnsuitableError
from testbed_basics.designs import archives, downloads
from testbed_basics.designs.downloads import Download, download
from tests.helpers.archives import archive, binary, cifar_batches, fashion, idx


@pytest.fixture
def admitted(monkeypatch):
    """Let `check` take any file: the real archives are too large for a test."""
    monkeypatch.setattr(archives, "check", lambda path: path)


# --- IDX ------------------------------------------------------------------------------------------


def test_idx_files_are_read_as_written(tmp_path):
    images = fashion(tmp_path)
    parts = archives.read_fashion(tmp_path)
    for part, (pixels, labels) in zip((parts.train, parts.test), images.values(), strict=True):
        assert np.array_equal(part.pixels[:, 0], pixels) and np.array_equal(part.labels, labels)


def test_compressed_idx_files_are_read_after_a_check(tmp_path, admitted):
    images = fashion(tmp_path, lambda name, raw: (f"{name}.gz", gzip.compress(raw)))
    assert np.array_equal(archives.read_fashion(tmp_path).train.pixels[:, 0], images["train"][0])


def test_a_compressed_file_of_the_wrong_checksum_is_refused(tmp_path):
    fashion(tmp_path, lambda name, raw: (f"{name}.gz", gzip.compress(raw)))
    with pytest.raises(UnsuitableError, match=r"found MD5 .* expected 8d4fb7e6.* fetch it again"):
        archives.read_fashion(tmp_path)


def test_a_truncated_gzip_file_is_refused(tmp_path, admitted):
    fashion(tmp_path, lambda name, raw: (f"{name}.gz", gzip.compress(raw)[:-30]))
    with pytest.raises(UnsuitableError, match="expected a gzip file; fetch the file again"):
        archives.read_fashion(tmp_path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda raw: raw[:-1], r"found 23 bytes in F, expected 24, for the shape \(2, 3, 4\)"),
        (lambda raw: raw + b"\0", "found 25 bytes in F, expected 24"),
        (lambda raw: raw[:9], "found 9 bytes in F, expected a header of 16"),
        (lambda raw: b"", "found a header  in F, expected IDX of unsigned bytes"),
        (lambda raw: b"\0\0\x0d" + raw[3:], "found a header 00000d03"),
        (lambda raw: raw[:4] + b"\xff" * 12 + raw[16:], "found 24 bytes in F, expected 79228"),
    ],
)
def test_damaged_idx_files_are_refused(damage, message):
    raw = idx(np.arange(24, dtype=np.uint8).reshape(2, 3, 4))
    assert archives.parse_idx(raw, "F").tolist() == np.arange(24).reshape(2, 3, 4).tolist()
    with pytest.raises(UnsuitableError, match=message):
        archives.parse_idx(damage(raw), "F")


def test_labels_of_another_number_than_images_are_refused(tmp_path):
    fashion(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(np.zeros(5, dtype=np.uint8)))
    with pytest.raises(UnsuitableError, match=r"images of shape .* with labels of shape \(5,\)"):
        archives.read_fashion(tmp_path)


# --- CIFAR-10 -------------------------------------------------------------------------------------


@pytest.mark.parametrize("unpacked", [False, True])
def test_cifar_is_read_from_its_archive_and_from_what_it_unpacks_to(unpacked, tmp_path, admitted):
    batches = cifar_batches()
    members = {f"{archives.FOLDER}/{name}": binary(*batch) for name, batch in batches.items()}
    if unpacked:
        (tmp_path / archives.FOLDER).mkdir()
        for name, raw in members.items():
            (tmp_path / name).write_bytes(raw)
    else:
        archive(tmp_path / archives.ARCHIVE, members)
    inside = archives.FOLDER if unpacked else archives.ARCHIVE
    *training, test = batches.values()
    for place in (tmp_path, tmp_path / inside):
        parts = archives.read_cifar(place)
        pixels = np.concatenate([batch[0] for batch in training])
        assert np.array_equal(parts.train.pixels.reshape(len(pixels), -1), pixels)
        assert parts.train.labels.tolist() == [label for batch in training for label in batch[1]]
        assert np.array_equal(parts.test.pixels.reshape(2, -1), test[0])
        assert parts.test.labels.tolist() == test[1]


def test_archives_that_are_not_the_official_ones_are_refused(tmp_path):
    archive(tmp_path / archives.ARCHIVE, {"a": b"b"})
    with pytest.raises(UnsuitableError, match=r"found MD5 .* expected c32a1d4ab5d03f1284b67883"):
        archives.read_cifar(tmp_path)
    (tmp_path / "mine.tar").write_bytes(b"")
    with pytest.raises(UnsuitableError, match=r"mine.tar, expected cifar-10-binary.tar.gz"):
        archives.read_cifar(tmp_path / "mine.tar")


def test_archives_that_lack_a_batch_or_end_early_are_refused(tmp_path, admitted):
    path = tmp_path / archives.ARCHIVE
    archive(path, {f"{archives.FOLDER}/data_batch_1.bin": b"\0" * 3073})
    with pytest.raises(UnsuitableError, match="data_batch_2"):
        archives.read_cifar(path)
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(UnsuitableError, match="fetch the file again"):
        archives.read_cifar(path)


def test_a_member_that_is_a_link_is_refused(tmp_path, admitted):
    path = tmp_path / archives.ARCHIVE
    with tarfile.open(path, "w:gz") as file:
        info = tarfile.TarInfo(f"{archives.FOLDER}/data_batch_1.bin")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        file.addfile(info)
    with pytest.raises(UnsuitableError, match="fetch the file again"):
        archives.read_cifar(path)


def test_a_folder_that_lacks_a_batch_says_which(tmp_path):
    (tmp_path / "test_batch.bin").write_bytes(b"")
    with pytest.raises(UnsuitableError, match=r"found no data_batch_1.bin, .* unpack again"):
        archives.read_cifar(tmp_path)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "0 bytes in F, expected records of 3073"),
        (b"\0" * 3072, "3072 bytes in F, expected records of 3073"),
        (b"\x0b" + b"\0" * 3072, "found the label 11 in F, expected labels from 0 to 9"),
    ],
)
def test_damaged_batches_are_refused(raw, message):
    with pytest.raises(UnsuitableError, match=message):
        archives.parse_cifar(raw, "F")


def test_the_python_archive_is_refused_with_the_name_of_the_right_one(tmp_path):
    """Its batches are pickles, which could run anything."""
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(b"")
    with pytest.raises(UnsuitableError, match=r"python.tar.gz, expected cifar-10-binary.tar.gz"):
        archives.read_cifar(tmp_path / "cifar-10-python.tar.gz")


# --- downloads ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", downloads.DOWNLOADS)
def test_offline_the_download_says_what_is_missing_where_it_belongs_and_what_else(
    name, tmp_path, monkeypatch
):
    def offline(*_, **__):
        raise ConnectionError("no route to host")

    monkeypatch.setattr("pooch.retrieve", offline)
    wanted = downloads.DOWNLOADS[name]
    file, md5 = next(iter(wanted.files.items()))
    with pytest.raises(UnsuitableError) as caught:
        download(name, tmp_path)
    for word in (file, str(tmp_path), wanted.url, md5, "ConnectionError", 'data = "digits"'):
        assert word in str(caught.value)
    assert downloads.main([name, str(tmp_path)]) == 1


def test_a_download_of_the_wrong_checksum_is_refused_and_not_kept(tmp_path, monkeypatch):
    """From a file on this machine, through pooch's own check."""
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "a.bin").write_bytes(b"damaged")
    monkeypatch.setattr(downloads, "INSTEAD", "nothing else")
    wanted = Download("tiny", f"{(tmp_path / 'theirs').as_uri()}/", {"a.bin": "0" * 32})
    monkeypatch.setitem(downloads.DOWNLOADS, "tiny", wanted)
    with pytest.raises(UnsuitableError, match="could not be downloaded"):
        download("tiny", tmp_path / "mine")
    assert not (tmp_path / "mine" / "a.bin").exists()


def test_files_that_are_there_are_checked_and_kept(tmp_path, monkeypatch, capsys):
    (tmp_path / "a.bin").write_bytes(b"abc")
    wanted = Download(
        "tiny", "https://example.invalid/", {"a.bin": "900150983cd24fb0d6963f7d28e17f72"}
    )
    monkeypatch.setitem(downloads.DOWNLOADS, "tiny", wanted)
    assert download("tiny", tmp_path) == [tmp_path / "a.bin"]
    assert downloads.main(["tiny", str(tmp_path)]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "a.bin")


def test_a_name_that_is_no_download_is_refused(capsys):
    with pytest.raises(UnsuitableError, match="found 'mnist', expected one of fashion-mnist"):
        download("mnist")
    assert downloads.main([]) == 2
    assert "usage" in capsys.readouterr().out


def test_the_home_of_data_can_be_chosen(tmp_path, monkeypatch):
    monkeypatch.setenv("TESTBED_DATA", str(tmp_path))
    assert downloads.home("cifar-10") == tmp_path / "cifar-10"
    monkeypatch.delenv("TESTBED_DATA")
    assert downloads.home("cifar-10").parent.name == "testbed"
