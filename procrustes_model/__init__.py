"""Analytical model and mapper for accelerators that train sparse neural networks.

The verbs a user imports are here; each is loaded when it is first used, so that importing the package
costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from procrustes_model.errors import Issue, SpecError
    from procrustes_model.explanation.explain import explain
    from procrustes_model.mapper.pareto import find_pareto_front
    from procrustes_model.mapper.result import SearchResult
    from procrustes_model.mapper.search import search
    from procrustes_model.model.batch import BatchResult, evaluate_batch
    from procrustes_model.model.evaluate import evaluate
    from procrustes_model.model.result import Result
    from procrustes_model.model.sparse.batch import SparseBatchResult, SparseEvaluator, prepare_sparse
    from procrustes_model.model.sparse.imbalance import ImbalanceHistogram, WorkArrays, measure_imbalance
    from procrustes_model.model.sparse.result import SparseResult
    from procrustes_model.network.request import RunRequest, TrainRequest
    from procrustes_model.network.result import NetworkResult, load_run
    from procrustes_model.network.run import run_network
    from procrustes_model.network.train_cost import TrainCost, train_cost
    from procrustes_model.report.figures.imbalance import plot_imbalance
    from procrustes_model.reproduction.request import ReproduceRequest
    from procrustes_model.reproduction.verb import Reproduction, reproduce
    from procrustes_model.spec.architecture import Architecture, load_architecture
    from procrustes_model.spec.mapping import Mapping, load_mapping
    from procrustes_model.spec.network import Network, load_network
    from procrustes_model.spec.problem import Problem, load_problem
    from procrustes_model.spec.sparsity import Sparsity, load_sparsity
    from procrustes_model.workloads.from_onnx import network_from_onnx
    from procrustes_model.workloads.from_torch import network_from_torch
    from procrustes_model.workloads.layer import training_problem, training_problems

_HOMES = {
    "SearchResult": "mapper.result",
    "TrainCost": "network.train_cost",
    "train_cost": "network.train_cost",
    "find_pareto_front": "mapper.pareto",
    "search": "mapper.search",
    "Reproduction": "reproduction.verb",
    "reproduce": "reproduction.verb",
    "Architecture": "spec.architecture",
    "BatchResult": "model.batch",
    "ImbalanceHistogram": "model.sparse.imbalance",
    "Issue": "errors",
    "Mapping": "spec.mapping",
    "Network": "spec.network",
    "NetworkResult": "network.result",
    "Problem": "spec.problem",
    "ReproduceRequest": "reproduction.request",
    "Result": "model.result",
    "RunRequest": "network.request",
    "TrainRequest": "network.request",
    "SparseBatchResult": "model.sparse.batch",
    "SparseEvaluator": "model.sparse.batch",
    "SparseResult": "model.sparse.result",
    "Sparsity": "spec.sparsity",
    "SpecError": "errors",
    "evaluate": "model.evaluate",
    "evaluate_batch": "model.batch",
    "explain": "explanation.explain",
    "load_architecture": "spec.architecture",
    "load_mapping": "spec.mapping",
    "load_network": "spec.network",
    "load_problem": "spec.problem",
    "load_run": "network.result",
    "run_network": "network.run",
    "load_sparsity": "spec.sparsity",
    "measure_imbalance": "model.sparse.imbalance",
    "plot_imbalance": "report.figures.imbalance",
    "network_from_onnx": "workloads.from_onnx",
    "network_from_torch": "workloads.from_torch",
    "prepare_sparse": "model.sparse.batch",
    "training_problem": "workloads.layer",
    "training_problems": "workloads.layer",
    "WorkArrays": "model.sparse.imbalance",
}

__all__ = [
    "Architecture",
    "BatchResult",
    "ImbalanceHistogram",
    "Issue",
    "Mapping",
    "Network",
    "NetworkResult",
    "Problem",
    "ReproduceRequest",
    "Reproduction",
    "Result",
    "RunRequest",
    "SearchResult",
    "SparseBatchResult",
    "SparseEvaluator",
    "SparseResult",
    "Sparsity",
    "SpecError",
    "TrainCost",
    "TrainRequest",
    "WorkArrays",
    "evaluate",
    "evaluate_batch",
    "explain",
    "find_pareto_front",
    "load_architecture",
    "load_mapping",
    "load_network",
    "load_problem",
    "load_run",
    "load_sparsity",
    "measure_imbalance",
    "network_from_onnx",
    "network_from_torch",
    "plot_imbalance",
    "prepare_sparse",
    "reproduce",
    "run_network",
    "search",
    "train_cost",
    "training_problem",
    "training_problems",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
