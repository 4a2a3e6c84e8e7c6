"""The base class of models that wrap another model."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

from testbed.contract.capabilities import Capability, Withheld, lacks
from testbed.contract.components import Model, Rng
from testbed.contract.facts import ModelFacts
from testbed.contract.values import Drawn, Problem


class ModelWrapper(Model):
    """Base of models that wrap another model, the inner model.

    Methods that a subclass does not write call the inner model. The bases say which methods:

        class Features(ModelWrapper, HasSpectrum, HasBasis, HasGram): …

    Every abstract method of these capabilities, and `prepare`, `start`, `probe`, `predict`,
    `gradient`, calls the inner model; facts are the inner model's, and `withheld` names what it
    lacks. `draw` calls the inner model too.
    """

    @property
    @abstractmethod
    def inside(self) -> Model:
        """The inner model."""

    def __init_subclass__(cls, **options: object) -> None:
        super().__init_subclass__(**options)
        for name in _passed_on(cls):
            setattr(cls, name, _forwarded(name))

    def facts(self) -> ModelFacts:
        return self.inside.facts()

    def withheld(self) -> Withheld:
        return lacks(self.inside, *_capabilities(type(self)))

    def draw(self, rng: Rng, problem: Problem) -> Drawn:
        return self.inside.draw(rng, problem)


def _capabilities(cls: type) -> list[type[Capability]]:
    """The capabilities that a class inherits, the most specific first."""
    return [base for base in cls.__mro__ if issubclass(base, Capability) and "words" in vars(base)]


def _passed_on(cls: type) -> list[str]:
    """Members of the inherited capabilities that no subclass of ModelWrapper writes."""
    declaring = [*_capabilities(cls), Model]
    public = {
        name
        for base in declaring
        for name, value in vars(base).items()
        if callable(value) and not name.startswith("_")
    }
    kept = {"facts", "withheld", "draw"}
    return [name for name in sorted(public - kept) if _home(cls, name) in declaring]


def _home(cls: type, name: str) -> type:
    """The class that a member comes from."""
    return next(base for base in cls.__mro__ if name in vars(base))


def _forwarded(name: str) -> Callable[..., object]:
    def method(self: ModelWrapper, *arguments: object, **named: object) -> object:
        return getattr(self.inside, name)(*arguments, **named)

    method.__name__ = name
    return method
