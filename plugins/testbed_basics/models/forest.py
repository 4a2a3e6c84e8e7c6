"""Random forests of scikit-learn."""

from __future__ import annotations

import numpy as np
from attrs import frozen

from testbed import Example, FitPredict, parameter


@frozen(kw_only=True)
class RandomForest(FitPredict):
    """scikit-learn's RandomForestRegressor (Breiman 2001): trees on bootstrap samples, averaged.
    Train it with the optimizer `fit`."""

    name = "random-forest"
    references = ("doi:10.1023/A:1010933404324",)

    trees: int = parameter(100, help="number of trees", ge=1)
    leaf: int = parameter(1, help="fewest training points in a leaf", ge=1)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        breaks = {"fit_ignores_the_order_of_rows": "bootstrap samples are drawn by position"}
        return (Example({"trees": 5}, {"optimizer": {"use": "fit"}}, breaks),)

    def fit(self, x: np.ndarray, y: np.ndarray, weight: np.ndarray, seed: int) -> object:
        from sklearn.ensemble import RandomForestRegressor

        forest = RandomForestRegressor(self.trees, min_samples_leaf=self.leaf, random_state=seed)
        return forest.fit(x.reshape(len(x), -1), y)
