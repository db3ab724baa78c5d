"""Fused kernels: Liger's, with the definition in their place, compiled layers, and layers that are recomputed."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from transformers.models.qwen2.modeling_qwen2 import apply_rotary_pos_emb

from basereward import kernels
from basereward.backbone import use_tree_attention
from basereward.errors import ConfigError, MissingDependency
from basereward.kernels import check_kernels, compile_layers, differs, liger_absent, use_liger
from basereward.parts import part_of, recompute_activations

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


class Definitions:
    """``liger_kernel.transformers.functional`` of 0.8.5 by its signatures, with the definitions behind them; notes its calls."""

    def __init__(self):
        self.calls: list[str] = []

    def liger_rms_norm(self, X, W, eps, offset=0.0, casting_mode="llama", in_place=True):
        assert (offset, casting_mode, in_place) == (0.0, "llama", False)
        self.calls.append("norm")
        return F.rms_norm(X, W.shape, W, eps)

    def liger_swiglu(self, a, b):
        self.calls.append("swiglu")
        return F.silu(a) * b

    def liger_rope(self, q, k, cos, sin, position_ids=None, unsqueeze_dim=1, rotary_dim=None):
        """As there: needs a token's heads side by side, and writes over its arguments."""
        assert q.transpose(1, 2).is_contiguous() and k.transpose(1, 2).is_contiguous()
        self.calls.append("rope")
        return apply_rotary_pos_emb(q, k, cos, sin, unsqueeze_dim)


@pytest.fixture
def liger(monkeypatch) -> Definitions:
    functional = Definitions()
    monkeypatch.setattr(kernels, "_liger", lambda: functional)
    return functional


@pytest.fixture
def keeps_rotary(model, monkeypatch):
    """What is put into the family's module of transformers is taken out again."""
    language_model = getattr(model.model, "language_model", model.model)
    source = sys.modules[type(language_model).__module__]
    monkeypatch.setattr(source, kernels.ROTARY, getattr(source, kernels.ROTARY))
    return source


def rewards_and_gradients(model, packed) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    model.zero_grad()
    reward_R = model(packed)
    reward_R.square().sum().backward()
    return reward_R.detach(), {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def assert_same(found, expected):
    torch.testing.assert_close(found[0], expected[0], rtol=0, atol=1e-5)
    assert found[1].keys() == expected[1].keys()
    largest = max(gradient.norm() for gradient in expected[1].values())
    for name, gradient in expected[1].items():
        assert (found[1][name] - gradient).norm() <= 1e-4 * gradient.norm() + 1e-7 * largest, name


def test_a_model_with_ligers_kernels_is_the_same_model(model, pack, cases, liger, keeps_rotary):
    packed = pack(cases[:4])
    expected = rewards_and_gradients(model, packed)
    norms = [m for m in model.model.modules() if type(m).__name__.endswith("RMSNorm")]
    swiglus = [m for m in model.model.modules() if hasattr(m, "gate_proj")]
    assert use_liger(model.model) == len(norms) + len(swiglus) and norms and swiglus
    assert_same(rewards_and_gradients(model, packed), expected)
    assert liger.calls.count("norm") == len(norms) and liger.calls.count("swiglu") == len(swiglus)


def test_rotary_positions_are_fused_on_cuda_alone_and_once(model, liger, keeps_rotary):
    stock = getattr(keeps_rotary, kernels.ROTARY)
    use_liger(model.model)
    fused = getattr(keeps_rotary, kernels.ROTARY)
    use_liger(model.model)
    assert getattr(keeps_rotary, kernels.ROTARY) is fused and fused.stock is stock
    called = []
    liger.liger_rope = lambda q, k, cos, sin, unsqueeze_dim: called.append((cos, sin, unsqueeze_dim))
    fused(SimpleNamespace(is_cuda=True), None, "cos", "sin")
    assert called == [("cos", "sin", 1)]
    generator = torch.Generator().manual_seed(0)
    q, k, cos, sin = (torch.randn(shape, generator=generator) for shape in ((1, 2, 3, 4), (1, 1, 3, 4), (1, 3, 4), (1, 3, 4)))
    for found, expected in zip(fused(q, k, cos, sin), stock(q, k, cos, sin)):
        assert torch.equal(found, expected)


def compared(functional) -> list[str]:
    return [
        name for name, (fused, stock, shapes) in kernels._comparisons(functional).items() if differs(fused, stock, shapes, CPU)
    ]


def test_kernels_are_compared_with_the_definition():
    assert compared(Definitions()) == []


@pytest.mark.parametrize(
    ("kernel", "wrong", "name"),
    [
        ("liger_rms_norm", lambda x, w, eps, in_place: F.rms_norm(x, w.shape, 1 + w, eps), "RMSNorm"),
        ("liger_swiglu", lambda a, b: F.gelu(a) * b, "SwiGLU"),
        ("liger_swiglu", lambda a, b: F.silu(a) * b.detach(), "SwiGLU"),
        ("liger_rope", lambda q, k, cos, sin: apply_rotary_pos_emb(q, k, cos, -sin), "rotary positions"),
    ],
)
def test_a_kernel_that_computes_something_else_is_found_out(kernel, wrong, name):
    functional = Definitions()
    setattr(functional, kernel, wrong)
    try:
        found = compared(functional)
    except ValueError:  # a gradient that is missing
        found = [name]
    assert found == [name]


def test_why_liger_is_not_used(monkeypatch):
    assert "CUDA" in liger_absent(CPU)
    monkeypatch.setitem(sys.modules, "liger_kernel", None)
    assert "pip install 'basereward[liger]'" in liger_absent(CUDA)


def test_what_cannot_be_had_is_refused_with_the_reason():
    check_kernels("auto", True, CPU)
    check_kernels(False, True, CPU)
    with pytest.raises(MissingDependency, match=r"compute\.liger: Liger needs a CUDA device; use compute\.liger=auto"):
        check_kernels(True, False, CPU)
    with pytest.raises(ConfigError, match=r"compute\.liger: expected true, false or auto, found 'yes'"):
        check_kernels("yes", False, CPU)
    with pytest.raises(ConfigError, match="fuses the same operations"):
        check_kernels(True, True, CPU)


@pytest.mark.filterwarnings("error:.*lru_cache")  # what the compiler says when it looks into the choice of a backend
def test_compiled_layers_give_the_same_rewards_and_gradients(model, pack, cases, monkeypatch):
    """Traced as for a GPU, and run as traced: what the compiler's own back end makes of it is its affair."""
    traced, compiled = [], torch.compile

    def note(graph, inputs):
        traced.append(graph)
        return graph.forward

    packs = [pack(cases[:2]), pack(cases[2:4]), pack(cases[1:4])]
    expected = [rewards_and_gradients(model, packed) for packed in packs]
    monkeypatch.setattr(torch, "compile", lambda function, dynamic: compiled(function, dynamic=dynamic, backend=note))
    torch._dynamo.reset()
    use_tree_attention(model.model)
    compile_layers(model.model)
    for packed, reference in zip(packs, expected):
        assert_same(rewards_and_gradients(model, packed), reference)
    # Before and after attention; the same graphs serve all layers and, from the second length on, all lengths.
    assert 2 <= len(traced) <= 8
    assert not any("scaled_dot_product" in str(graph.graph) for graph in traced)


def test_no_module_has_an_output_for_each_word(model):
    """No language-model head anywhere: nothing computes logits."""
    words = model.config.get_text_config().vocab_size
    heads = [name for name, module in model.named_modules() if getattr(module, "out_features", None) == words]
    assert not heads and model.model.get_output_embeddings() is None


def recomputed(model, part: str) -> list[bool]:
    layers = [
        (n, m) for n, m in model.named_modules() if hasattr(m, "gradient_checkpointing") and "Layer" in str(type(m).__mro__)
    ]
    return [m.gradient_checkpointing for name, m in layers if part_of(f"{name}.") == part and not hasattr(m, "config")]


def test_layers_are_recomputed_by_number(model, pack, cases):
    expected = rewards_and_gradients(model, pack(cases[:3]))
    recompute_activations(model, 1)
    model.train()
    language, vision = recomputed(model, "language_model"), recomputed(model, "vision")
    assert language == [i < 1 for i in range(len(language))] and len(language) > 1
    assert sum(vision) == -(-len(vision) // len(language))
    assert_same(rewards_and_gradients(model, pack(cases[:3])), expected)
    with pytest.raises(
        ConfigError, match=rf"gradient_checkpointing: expected true, false or at most {len(language)} layers, found 99"
    ):
        recompute_activations(model, 99)
