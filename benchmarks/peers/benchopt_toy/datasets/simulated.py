"""One observation."""

import numpy as np
from benchopt import BaseDataset


class Dataset(BaseDataset):
    name = "simulated"

    def get_data(self):
        return {"z": 1.0 + 0.1 * np.random.default_rng(1).standard_normal(1)}
