"""Nearest neighbours of scikit-learn."""

from __future__ import annotations

import numpy as np
from attrs import frozen

from testbed import Example, FitPredict, UnsuitableError, parameter


@frozen(kw_only=True)
class NearestNeighbours(FitPredict):
    """scikit-learn's KNeighborsRegressor: the mean over the k nearest training points. Train it
    with the optimizer `fit`."""

    name = "nearest-neighbours"

    k: int = parameter(5, help="number of neighbours", ge=1)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example({}, {"optimizer": {"use": "fit"}}),)

    def fit(self, x: np.ndarray, y: np.ndarray, weight: np.ndarray, seed: int) -> object:
        from sklearn.neighbors import KNeighborsRegressor

        if self.k > len(x):
            raise UnsuitableError(
                f"nearest-neighbours: found k = {self.k} for {len(x)} training points, expected at "
                f"most {len(x)}; lower k"
            )
        return KNeighborsRegressor(self.k).fit(x.reshape(len(x), -1), y)
