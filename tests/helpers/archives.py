"""Tiny image archives in the formats of Fashion-MNIST and CIFAR-10."""

from __future__ import annotations

import io
import struct
import tarfile

import numpy as np

from testbed_basics.designs import archives

RNG = np.random.Generator(np.random.Philox(3))


def idx(array):
    head = b"\0\0\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(np.uint8).tobytes()


def fashion(folder, pack=lambda name, raw: (name, raw)):
    """A tiny Fashion-MNIST: 12 training and 6 test images."""
    images = {}
    for part, count in (("train", 12), ("t10k", 6)):
        pixels = RNG.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = np.arange(count, dtype=np.uint8) % 3
        images[part] = (pixels, labels)
        for stem, array in ((f"{part}-images-idx3", pixels), (f"{part}-labels-idx1", labels)):
            name, raw = pack(f"{stem}-ubyte", idx(array))
            (folder / name).write_bytes(raw)
    return images


def cifar_batches(per_batch=2):
    """Pixels and labels of the six batches of a tiny CIFAR-10."""
    return {
        name: (
            RNG.integers(0, 256, (per_batch, archives.PIXELS), dtype=np.uint8),
            ((np.arange(per_batch) + i) % 10).tolist(),
        )
        for i, name in enumerate(archives.BATCHES)
    }


def binary(pixels, labels):
    return np.column_stack([np.array(labels, dtype=np.uint8), pixels]).tobytes()


def archive(path, members):
    with tarfile.open(path, "w:gz") as file:
        for name, raw in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(raw)
            file.addfile(info, io.BytesIO(raw))
