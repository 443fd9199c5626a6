"""The ComfyUI example on a small fake of ComfyUI's node interface, not on ComfyUI itself."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch

import tenuto

EXAMPLE = Path(__file__).parents[2] / "examples" / "comfyui"
CAPTION = "a small heart over the sky"


class ProcessingInterruptedError(Exception):
    """Stands for ComfyUI's InterruptProcessingException."""


class FakeComfyUI:
    """Imports a folder of custom nodes and runs graphs of them as ComfyUI does.

    Nodes run once and what they return is kept; links must join equal types; values are checked
    against INPUT_TYPES and VALIDATE_INPUTS before anything runs.
    """

    def __init__(self, monkeypatch):
        self.progress, self.cancel_at = [], None
        bar = SimpleNamespace(update_absolute=self._note)
        management, utils = ModuleType("comfy.model_management"), ModuleType("comfy.utils")
        management.throw_exception_if_processing_interrupted = self._throw
        utils.ProgressBar = lambda total: bar
        for module in (ModuleType("comfy"), management, utils):
            monkeypatch.setitem(sys.modules, module.__name__, module)
        location = EXAMPLE / "__init__.py"
        spec = importlib.util.spec_from_file_location(
            "custom_nodes_tenuto", location, submodule_search_locations=[str(EXAMPLE)]
        )
        package = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, spec.name, package)
        spec.loader.exec_module(package)
        self.nodes, self.kept = package.NODE_CLASS_MAPPINGS, {}
        assert set(package.NODE_DISPLAY_NAME_MAPPINGS) == set(self.nodes)

    def run(self, graph, wanted):
        for node in graph:
            self._check(graph, node)
        return self._outputs(graph, wanted)

    def _outputs(self, graph, name):
        kind, inputs = graph[name]
        values = {
            key: self._outputs(graph, value[0])[value[1]] if isinstance(value, list) else value
            for key, value in inputs.items()
        }
        key = (name, kind, repr(inputs))
        if key not in self.kept:
            node = self.nodes[kind]()
            self.kept[key] = getattr(node, node.FUNCTION)(**values)
            assert len(self.kept[key]) == len(node.RETURN_TYPES)
        return self.kept[key]

    def _check(self, graph, name):
        kind, inputs = graph[name]
        declared = self.nodes[kind].INPUT_TYPES()["required"]
        assert set(inputs) == set(declared)
        for key, value in inputs.items():
            expected, options = (*declared[key], {})[:2]
            if isinstance(value, list):
                assert self.nodes[graph[value[0]][0]].RETURN_TYPES[value[1]] == expected
                continue
            assert type(value) is {"STRING": str, "INT": int}[expected]
            assert options.get("min", value) <= value <= options.get("max", value)
        validate = getattr(self.nodes[kind], "VALIDATE_INPUTS", None)
        if validate is not None:
            taken = validate.__code__.co_varnames[1 : validate.__code__.co_argcount]
            verdict = validate(**{key: inputs[key] for key in taken})
            if verdict is not True:
                raise ValueError(verdict)

    def _note(self, value, total):
        self.progress.append((value, total))

    def _throw(self):
        if self.cancel_at is not None and len(self.progress) >= self.cancel_at:
            raise ProcessingInterruptedError


@pytest.fixture
def comfy(monkeypatch):
    return FakeComfyUI(monkeypatch)


def graph_of(techniques="dito:interval=2,warmup=1", steps=4):
    def draw(source):
        inputs = {"pipeline": [source, 0], "prompt": CAPTION, "steps": steps, "seed": 3}
        return ("TenutoDraw", inputs)

    return {
        "load": ("TenutoLoadPipeline", {"model": "emoji-image"}),
        "fast": ("TenutoTechniques", {"pipeline": ["load", 0], "techniques": techniques}),
        "plain": draw("load"),
        "drawn": draw("fast"),
    }


@pytest.fixture
def graph():
    return graph_of()


def test_a_graph_draws_with_and_without_techniques_from_one_pipeline(comfy, graph):
    frames, counts = comfy.run(graph, "drawn")
    plain, said = comfy.run(graph, "plain")

    pipe = comfy.run(graph, "load")[0].workload.pipe
    generator = torch.Generator().manual_seed(3)
    arguments = {**tenuto.zoo.call_arguments("emoji-image"), "num_inference_steps": 4}
    by_hand = pipe(CAPTION, generator=generator, output_type="pt", **arguments).images
    assert frames.shape == plain.shape == (1, 64, 64, 3)
    assert frames.dtype == torch.float32
    assert 0 <= float(frames.min()) <= float(frames.max()) <= 1
    assert torch.equal(plain[0], by_hand[0].clamp(0, 1).permute(1, 2, 0))
    assert not torch.equal(frames, plain)
    assert "MACs dense / done" in counts
    assert said == "untouched"
    assert comfy.progress == [(step, 4) for step in (1, 2, 3, 4)] * 2


def test_cancelling_leaves_the_pipeline_as_it_was(comfy, graph):
    untouched, _ = comfy.run(graph, "plain")
    comfy.progress.clear()
    comfy.cancel_at = 2

    with pytest.raises(ProcessingInterruptedError):
        comfy.run(graph, "drawn")

    assert comfy.progress == [(1, 4), (2, 4)]
    comfy.cancel_at = None
    comfy.kept = {key: value for key, value in comfy.kept.items() if key[0] == "load"}
    assert torch.equal(comfy.run(graph, "plain")[0], untouched)


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("dito:ratio=3", r"^dito: `ratio` must be in \[0, 1\], got 3\.0$"),
        ("fbc", "^`technique` must be one of"),
        ("", "^`spec` must start with a name, got ''$"),
        ("dito+tofu", r"got \['DiTo', 'ToFu'\]$"),
    ],
)
def test_a_wrong_spec_is_a_sentence_at_its_node_before_anything_runs(comfy, spec, sentence):
    with pytest.raises(ValueError, match=sentence):
        comfy.run(graph_of(spec), "drawn")
    assert comfy.kept == {}
