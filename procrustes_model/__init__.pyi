# The public names and where they live: read by type checkers, and by __init__.py when it is imported.
from .errors import Issue as Issue, SpecError as SpecError
from .explanation.explain import explain as explain
from .mapper.constraints import load_constraints as load_constraints
from .mapper.pareto import find_pareto_front as find_pareto_front
from .mapper.request import FrontRequest as FrontRequest, SearchRequest as SearchRequest
from .mapper.result import SearchResult as SearchResult
from .mapper.search import search as search
from .model.batch import BatchResult as BatchResult
from .model.evaluate import evaluate as evaluate, evaluate_batch as evaluate_batch
from .model.evaluator import Evaluator as Evaluator
from .model.result import Result as Result
from .model.sparse.imbalance import (
    ImbalanceHistogram as ImbalanceHistogram,
    WorkArrays as WorkArrays,
    measure_imbalance as measure_imbalance,
)
from .model.sparse.result import SparseResult as SparseResult
from .network.macs import NetworkMacs as NetworkMacs, count_macs as count_macs
from .network.memory import TrainingMemory as TrainingMemory, training_memory as training_memory
from .network.memory_request import MemoryRequest as MemoryRequest
from .network.request import RunRequest as RunRequest, TrainRequest as TrainRequest
from .network.result import NetworkResult as NetworkResult, load_run as load_run
from .network.run import run_network as run_network
from .network.train_cost import train_cost as train_cost
from .network.train_result import TrainCost as TrainCost
from .report.figures.evaluation import draw_capacity as draw_capacity, draw_energy as draw_energy
from .report.figures.front import draw_front as draw_front
from .report.figures.imbalance import draw_imbalance as draw_imbalance, plot_imbalance as plot_imbalance
from .report.figures.mapping import draw_mapping as draw_mapping
from .report.figures.roofline import draw_roofline as draw_roofline
from .reproduction.request import ReproduceRequest as ReproduceRequest
from .reproduction.verb import Reproduction as Reproduction, reproduce as reproduce
from .shipped import (
    list_architectures as list_architectures,
    list_constraints as list_constraints,
    list_densities as list_densities,
    list_mappings as list_mappings,
    list_networks as list_networks,
    list_problems as list_problems,
    list_schedules as list_schedules,
    list_shapes as list_shapes,
    list_sparsity as list_sparsity,
    list_sweeps as list_sweeps,
)
from .shown import show_progress as show_progress
from .spec.architecture import Architecture as Architecture
from .spec.load import (
    load_architecture as load_architecture,
    load_mapping as load_mapping,
    load_network as load_network,
    load_problem as load_problem,
    load_rules as load_rules,
    load_sparsity as load_sparsity,
)
from .spec.mapping import Mapping as Mapping
from .spec.network import Network as Network
from .spec.problem import Problem as Problem
from .spec.rules import Rules as Rules
from .spec.sparsity import Sparsity as Sparsity
from .sweeps.over import search_over as search_over
from .sweeps.over_result import OverResult as OverResult
from .sweeps.request import OverRequest as OverRequest, SweepRequest as SweepRequest
from .sweeps.result import SweepPoint as SweepPoint, SweepResult as SweepResult
from .sweeps.verb import sweep as sweep
from .workloads.from_onnx import network_from_onnx as network_from_onnx
from .workloads.from_torch import (
    masks_from_module as masks_from_module,
    network_from_torch as network_from_torch,
)
from .workloads.layer import training_problem as training_problem, training_problems as training_problems

__version__: str
