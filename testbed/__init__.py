"""Testbed: claims about neural networks, kernels and adaptive features as files; labelled answers.

    scenario.toml  →  load_scenario  →  plan: cells  →  execute: draw, fit, measure
                   →  journal  →  results.nc  →  figures, summary, your own xarray

    import testbed
    tree = testbed.run("scenarios/quickstart.toml")       # an xarray.DataTree
    tree["adaptive"]["excess_risk"].sel(depth=1)          # dims: n, replicate, time

Plugins offer components: frozen attrs classes derived from Design, Target, Model, Optimizer, Metric
or Theory, or from a layer above them: TorchModule, KernelModel, StepOptimizer, FitPredict. Their
fields are declared with `parameter`; functions marked `hookimpl` return them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from testbed.contract.capabilities import (
        Capability as Capability,
        Descent as Descent,
        HasBasis as HasBasis,
        HasDescent as HasDescent,
        HasEigensystem as HasEigensystem,
        HasExactSpectrum as HasExactSpectrum,
        HasFilterPath as HasFilterPath,
        HasFlow as HasFlow,
        HasGradient as HasGradient,
        HasGram as HasGram,
        HasLeverage as HasLeverage,
        HasPopulationRisk as HasPopulationRisk,
        HasPopulationSpectrum as HasPopulationSpectrum,
        HasPredictions as HasPredictions,
        HasProfile as HasProfile,
        HasRandomStart as HasRandomStart,
        HasSpectrum as HasSpectrum,
        Withheld as Withheld,
        has as has,
        lack as lack,
        lacks as lacks,
        per_replicate as per_replicate,
    )
    from testbed.contract.cells import (
        STATUS as STATUS,
        Cell as Cell,
        CellResult as CellResult,
        PlannedMetric as PlannedMetric,
    )
    from testbed.contract.claims import (
        ClaimKind as ClaimKind,
        Evidence as Evidence,
        Judgement as Judgement,
    )
    from testbed.contract.components import (
        Design as Design,
        Estimator as Estimator,
        Metric as Metric,
        Model as Model,
        Optimizer as Optimizer,
        Rng as Rng,
        Target as Target,
        Theory as Theory,
        Variable as Variable,
        name_with_source as name_with_source,
        sample_size as sample_size,
    )
    from testbed.contract.examples import Example as Example
    from testbed.contract.expansions import (
        drawn_expansion as drawn_expansion,
        lacks_in_expansion as lacks_in_expansion,
    )
    from testbed.contract.facts import (
        MetricFacts as MetricFacts,
        ModelFacts as ModelFacts,
        OptimizerFacts as OptimizerFacts,
        TargetFacts as TargetFacts,
        TheoryFacts as TheoryFacts,
    )
    from testbed.contract.findings import (
        Finding as Finding,
        over_replicates as over_replicates,
        relative_rounding as relative_rounding,
        risk_path as risk_path,
        worst_place as worst_place,
    )
    from testbed.contract.grids import (
        Grid as Grid,
    )
    from testbed.contract.hooks import (
        hookimpl as hookimpl,
    )
    from testbed.contract.losses import (
        batch_of as batch_of,
    )
    from testbed.contract.names import (
        in_words as in_words,
    )
    from testbed.contract.needs import (
        Need as Need,
        Needs as Needs,
    )
    from testbed.contract.parameters import (
        names_with as names_with,
        parameter as parameter,
        value_with as value_with,
    )
    from testbed.contract.seeds import (
        Streams as Streams,
    )
    from testbed.contract.spaces import (
        POINTS as POINTS,
        SEQUENCES as SEQUENCES,
        Space as Space,
        inner_misfit as inner_misfit,
        narrow_misfit as narrow_misfit,
    )
    from testbed.contract.subjects import (
        Algorithm as Algorithm,
        DirectionalFeatures as DirectionalFeatures,
        HasDirectionalFeatures as HasDirectionalFeatures,
        HasEigenvalueDecay as HasEigenvalueDecay,
        HasIndexForm as HasIndexForm,
        HasKernelMatrix as HasKernelMatrix,
        HasPowerDecay as HasPowerDecay,
        HasPowerEigenvalues as HasPowerEigenvalues,
        HasRandomFeatures as HasRandomFeatures,
        HasSourceCondition as HasSourceCondition,
        HasTrainedNumbers as HasTrainedNumbers,
        HasWaves as HasWaves,
        IndexForm as IndexForm,
        IsSpectral as IsSpectral,
        PowerDecay as PowerDecay,
        PowerEigenvalues as PowerEigenvalues,
        RandomFeatures as RandomFeatures,
        SourceCondition as SourceCondition,
        Waves as Waves,
        declared as declared,
        space_of as space_of,
    )
    from testbed.contract.values import (
        Advance as Advance,
        Carry as Carry,
        Data as Data,
        Drawn as Drawn,
        Eigensystem as Eigensystem,
        Fit as Fit,
        Parameters as Parameters,
        PopulationSpectrum as PopulationSpectrum,
        Prepared as Prepared,
        Problem as Problem,
        Risk as Risk,
        Sample as Sample,
        Spectrum as Spectrum,
    )
    from testbed.contract.wrapping import (
        ModelWrapper as ModelWrapper,
    )
    from testbed.errors import (
        DoesNotApply as DoesNotApply,
        Mistake as Mistake,
        ParameterError as ParameterError,
        PluginError as PluginError,
        ResultError as ResultError,
        ScenarioError as ScenarioError,
        TestbedError as TestbedError,
        UnsuitableError as UnsuitableError,
        did_you_mean as did_you_mean,
    )
    from testbed.layers.dual import (
        DualModel as DualModel,
    )
    from testbed.layers.fit_predict import (
        FitPredict as FitPredict,
        HasFit as HasFit,
    )
    from testbed.layers.kernel_model import (
        KernelModel as KernelModel,
    )
    from testbed.layers.step_optimizer import (
        Step as Step,
        StepOptimizer as StepOptimizer,
    )
    from testbed.layers.torch_module import (
        TorchModule as TorchModule,
    )
    from testbed.planning.files import (
        load_scenario as load_scenario,
    )
    from testbed.planning.fitting import (
        foreign_kernel as foreign_kernel,
    )
    from testbed.planning.places import (
        metric_place as metric_place,
        mistake as mistake,
        place as place,
    )
    from testbed.planning.plan import (
        Plan as Plan,
    )
    from testbed.running.batching import (
        Batched as Batched,
        Single as Single,
    )
    from testbed.runs import (
        open_results as open_results,
        run as run,
    )
    from testbed.runs.measuring import measure as measure
    from testbed.scenario.making import make as make
    from testbed.scenario.scenario import (
        Scenario as Scenario,
    )

__version__ = "0.2.0"

_HOMES = {
    "testbed.contract.capabilities": (
        "Capability Descent HasBasis HasDescent HasEigensystem HasExactSpectrum HasFilterPath "
        "HasFlow HasGradient HasGram HasLeverage HasPopulationRisk HasPopulationSpectrum "
        "HasPredictions HasProfile HasRandomStart HasSpectrum Withheld has lack lacks "
        "per_replicate"
    ),
    "testbed.contract.cells": "Cell CellResult PlannedMetric STATUS",
    "testbed.contract.claims": "ClaimKind Evidence Judgement",
    "testbed.contract.components": (
        "Design Estimator Metric Model Optimizer Rng Target Theory Variable name_with_source "
        "sample_size"
    ),
    "testbed.contract.examples": "Example",
    "testbed.contract.expansions": "drawn_expansion lacks_in_expansion",
    "testbed.contract.facts": "MetricFacts ModelFacts OptimizerFacts TargetFacts TheoryFacts",
    "testbed.contract.findings": "Finding over_replicates relative_rounding risk_path worst_place",
    "testbed.contract.grids": "Grid",
    "testbed.contract.hooks": "hookimpl",
    "testbed.contract.losses": "batch_of",
    "testbed.contract.names": "in_words",
    "testbed.contract.needs": "Need Needs",
    "testbed.contract.parameters": "names_with parameter value_with",
    "testbed.contract.seeds": "Streams",
    "testbed.contract.spaces": "POINTS SEQUENCES Space inner_misfit narrow_misfit",
    "testbed.contract.subjects": (
        "Algorithm DirectionalFeatures HasDirectionalFeatures HasEigenvalueDecay HasIndexForm "
        "HasKernelMatrix HasPowerDecay HasPowerEigenvalues HasRandomFeatures "
        "HasSourceCondition HasTrainedNumbers HasWaves IndexForm IsSpectral PowerDecay "
        "PowerEigenvalues RandomFeatures SourceCondition Waves declared space_of"
    ),
    "testbed.contract.values": (
        "Advance Carry Data Drawn Eigensystem Fit Parameters PopulationSpectrum Prepared "
        "Problem Risk Sample Spectrum"
    ),
    "testbed.contract.wrapping": "ModelWrapper",
    "testbed.errors": (
        "DoesNotApply Mistake ParameterError PluginError ResultError ScenarioError "
        "TestbedError UnsuitableError did_you_mean"
    ),
    "testbed.layers.dual": "DualModel",
    "testbed.layers.fit_predict": "FitPredict HasFit",
    "testbed.layers.kernel_model": "KernelModel",
    "testbed.layers.step_optimizer": "Step StepOptimizer",
    "testbed.layers.torch_module": "TorchModule",
    "testbed.planning.files": "load_scenario",
    "testbed.planning.fitting": "foreign_kernel",
    "testbed.planning.places": "metric_place mistake place",
    "testbed.planning.plan": "Plan",
    "testbed.running.batching": "Batched Single",
    "testbed.runs": "open_results run",
    "testbed.runs.measuring": "measure",
    "testbed.scenario.making": "make",
    "testbed.scenario.scenario": "Scenario",
}
_HOME = {name: module for module, names in _HOMES.items() for name in names.split()}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import testbed` costs nothing."""
    if name not in _HOME:
        raise AttributeError(f"module 'testbed' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
