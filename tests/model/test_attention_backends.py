"""Backends of attention: what kernels are called with, whole models with a kernel that runs here, and which backend is chosen."""

from __future__ import annotations

import copy
import logging
import sys
import types

import pytest
import torch
import torch.nn.attention.varlen as torch_varlen
from row_chains import rewards
from standin_kernel import StandIn, by_definition
from test_packed_equals_padded import REWARD_TOLERANCE, check
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import AutoModel
from twin_folders import TEXT_ONLY

from basereward.attention import choose
from basereward.attention.base import Use
from basereward.attention.flash_attn import FlashAttn
from basereward.attention.variable_length import GatherRows
from basereward.attention.varlen import Varlen, _parameters
from basereward.backbone import use_tree_attention
from basereward.errors import ConfigError, MissingDependency
from basereward.packing import collate
from basereward.parts import recompute_activations
from basereward.prefix_keys import in_rows
from basereward.tree import Piece, Tree

CUDA, HALF = torch.device("cuda"), torch.bfloat16
GOOD = Use(CUDA, HALF, head=64, dropout=False)


@pytest.fixture(autouse=True)
def forget():
    """The choice of a process is kept; not from test to test."""
    for kept in (choose._pick, choose._say, _parameters):
        kept.cache_clear()


@pytest.fixture
def kernel(monkeypatch) -> StandIn:
    """In place of torch's variable-length kernel."""
    standin = StandIn()
    monkeypatch.setitem(choose.BACKENDS, "varlen", standin)
    return standin


def test_a_model_on_a_variable_length_kernel_equals_padded_rows(model, stock, pack, cases, kernel, record_property):
    use_tree_attention(model.model, "varlen")
    record_property("worst", check(model, stock, pack(cases), cases))
    layers = model.config.get_text_config().num_hidden_layers
    assert sum(causal for _, causal, _ in kernel.calls) == layers, "one call for each layer of the language model"
    tower = getattr(model.model, "visual", None)
    assert sum(not causal for _, causal, _ in kernel.calls) == (len(tower.blocks) if tower is not None else 0)


def test_also_with_gradient_checkpointing(model, stock, pack, cases, kernel):
    use_tree_attention(model.model, "varlen")
    recompute_activations(model)
    model.train()
    check(model, stock, pack(cases[:4]), cases[:4])


@torch.no_grad()
def test_packs_and_rows_that_go_on_do_not_change_a_reward(model, encoder, pack, cases, kernel):
    """Each comparison alone in a pack, and in rows that go on from its prefix, against all in one pack by the reference."""
    expected = model(pack(cases)).split([len(c.responses) for c in cases])
    use_tree_attention(model.model, "varlen")
    for case, reward in zip(cases, expected):
        torch.testing.assert_close(model(pack([case])), reward, rtol=0, atol=REWARD_TOLERANCE)
        rows = in_rows(encoder.encode(case), token_budget=1)
        torch.testing.assert_close(rewards(model, encoder, rows), reward, rtol=0, atol=REWARD_TOLERANCE)
        assert len(collate(rows[1:2], encoder.patch_settings).tree.after(5).layout(torch.device("cpu")).query_ends) == 2


def test_the_named_backend_computes_and_no_other(model, pack, cases, kernel):
    """The stand-in takes everything, so ``auto`` would take it too."""
    use_tree_attention(model.model, "sdpa")
    model(pack(cases[:2]))
    assert not kernel.calls
    use_tree_attention(model.model)
    model(pack(cases[:2]))
    assert kernel.calls


def test_a_kernel_computes_in_the_dtype_of_autocast(model, pack, cases, kernel):
    """Rotary positions widen queries and keys to float32 under autocast, which no such kernel takes."""
    use_tree_attention(model.model, "varlen")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        model(pack(cases[:2])).sum().backward()
    assert {dtype for _, _, dtype in kernel.calls} == {torch.bfloat16}


def test_a_layout_by_hand():
    """Prefix of 2 with responses of 1 and 2, then prefix of 1 with one of 1."""
    layout = Tree((Piece(0, 2, (3, 5)), Piece(5, 6, (7,)))).layout(torch.device("cpu"))
    assert layout.gather.tolist() == [0, 1, 0, 1, 2, 0, 1, 3, 4, 5, 5, 6]
    assert layout.query_ends.tolist() == [0, 2, 3, 5, 6, 7] and layout.key_ends.tolist() == [0, 2, 5, 9, 10, 12]
    assert (layout.longest_query, layout.longest_key) == (2, 4)


def test_a_layout_after_a_prefix_that_was_computed():
    """A prefix of 2 without queries, responses of 1 and 2."""
    layout = Tree((Piece(0, 0, (1, 3)),)).after(2).layout(torch.device("cpu"))
    assert layout.gather.tolist() == [0, 1, 2, 0, 1, 3, 4] and layout.query_ends.tolist() == [0, 1, 3]
    assert layout.key_ends.tolist() == [0, 3, 7]


class Sums(TorchDispatchMode):
    """Notes in which dtype rows are added up."""

    def __init__(self):
        super().__init__()
        self.dtypes = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if "index_add" in str(function):
            self.dtypes.append(args[0].dtype)
        return function(*args, **(kwargs or {}))


def test_gradients_of_gathered_rows_are_summed_in_float32():
    """On CUDA each addend would be rounded to bfloat16, and 1 + 3 x 2^-9 stay 1 where 1 + 2^-7 is nearest."""
    x = torch.zeros(2, 1, 1, dtype=torch.bfloat16, requires_grad=True)
    upstream = torch.tensor([1.0, 2.0**-9, 2.0**-9, 2.0**-9, 5.0], dtype=torch.bfloat16).view(5, 1, 1)
    with Sums() as sums:
        GatherRows.apply(x, torch.tensor([0, 0, 0, 0, 1])).backward(upstream)
    assert sums.dtypes == [torch.float32] and x.grad.flatten().tolist() == [1 + 2.0**-7, 5.0]
    double = torch.randn(3, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(GatherRows.apply, (double, torch.tensor([0, 2, 2, 1, 0])))


def varlen_of_2_13(query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, *, return_aux=None, scale=None, window_size=(-1, -1),
                   enable_gqa=False, seqused_k=None, block_table=None, num_splits=None):  # fmt: skip
    assert enable_gqa == (query.shape[1] != key.shape[1])
    return varlen_of_2_11(query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, scale=scale, window_size=window_size)


def varlen_of_2_11(query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, *, return_aux=None, scale=None, window_size=(-1, -1)):
    assert window_size in ((-1, 0), (-1, -1)) and max_q == cu_seq_q.diff().max() and max_k == cu_seq_k.diff().max()
    return by_definition(query, key, value, cu_seq_q, cu_seq_k, causal=window_size == (-1, 0), scale=scale)


def flash_attn_of_2_8(q, k, v, cu_seqlens_q, cu_seqlens_k, max_seqlen_q, max_seqlen_k, dropout_p=0.0, softmax_scale=None,
                      causal=False, window_size=(-1, -1), softcap=0.0, alibi_slopes=None, deterministic=False):  # fmt: skip
    assert max_seqlen_q == cu_seqlens_q.diff().max() and max_seqlen_k == cu_seqlens_k.diff().max() and dropout_p == 0.0
    return by_definition(q, k, v, cu_seqlens_q, cu_seqlens_k, causal=causal, scale=softmax_scale)


def has_flash_attn(monkeypatch, function=flash_attn_of_2_8):
    module = types.ModuleType("flash_attn")
    module.flash_attn_varlen_func = function
    monkeypatch.setitem(sys.modules, "flash_attn", module)


@pytest.mark.parametrize("form", ["torch 2.11", "torch 2.13", "flash_attn"])
def test_a_library_is_called_as_it_declares(form, monkeypatch):
    """Its signature with the definition behind it, against the reference: a row with grouped queries, and windows."""
    if form == "flash_attn":
        has_flash_attn(monkeypatch)
    monkeypatch.setattr(torch_varlen, "varlen_attn", varlen_of_2_11 if form == "torch 2.11" else varlen_of_2_13)
    backend = FlashAttn() if form == "flash_attn" else Varlen()
    assert backend.absent() is None
    generator = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(1, heads, 12, 8, generator=generator, requires_grad=True) for heads in (4, 2, 2))
    tree = Tree((Piece(0, 3, (4, 7)), Piece(7, 9, (12,))))
    ends = torch.tensor([0, 4, 5, 9, 12], dtype=torch.int32)
    for ours, reference in (
        (backend.tree(query, key, value, tree=tree, scale=0.2, dropout=0.0),
         choose.BACKENDS["sdpa"].tree(query, key, value, tree=tree, scale=0.2, dropout=0.0)),
        (backend.windows(query[:, :2], key, value, ends=ends, longest=4, scale=0.2, dropout=0.0),
         choose.BACKENDS["sdpa"].windows(query[:, :2], key, value, ends=ends, longest=4, scale=0.2, dropout=0.0)),
    ):  # fmt: skip
        torch.testing.assert_close(ours, reference, rtol=0, atol=1e-6)
        upstream = torch.randn(reference.shape, generator=generator)
        for a, b in zip(*(torch.autograd.grad(out, (query, key, value), upstream) for out in (ours, reference))):
            torch.testing.assert_close(a, b, rtol=0, atol=2e-6)


def test_the_installed_torch_has_the_arguments_that_are_used():
    assert Varlen().absent() is None
    assert {"scale", "window_size"} <= _parameters()


def test_a_torch_without_windows_is_told(monkeypatch):
    monkeypatch.setattr(torch_varlen, "varlen_attn", lambda query, key, value, is_causal=False: None)
    assert "older form" in Varlen().absent()


@pytest.mark.parametrize(
    ("use", "reason"),
    [
        (GOOD, None),
        (GOOD._replace(device=torch.device("cpu")), "CUDA"),
        (GOOD._replace(dtype=torch.float32), "not float32"),
        (GOOD._replace(head=288), "at most 256"),
        (GOOD._replace(head=84), "multiple of 8"),
        (GOOD._replace(dropout=True), "dropout"),
    ],
)
def test_why_torchs_kernel_is_not_used(use, reason, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    monkeypatch.setattr(Varlen, "misaligned", lambda self, device: None)
    found = Varlen().refuses(use)
    assert found is None if reason is None else reason in found


def test_an_old_gpu_is_told(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    assert "Ampere" in Varlen().refuses(GOOD)


def test_a_kernel_that_aligns_the_first_keys_is_found_out(kernel, monkeypatch):
    """Older ones let query i see keys 0 to i: wrong rewards, in silence."""
    assert kernel.misaligned(torch.device("cpu")) is None

    def top_left(query, key, value, layout, *, causal, scale, dropout):
        ends = layout.query_ends
        return by_definition(
            query, key[: ends[-1]].contiguous(), value[: ends[-1]].contiguous(), ends, ends, causal=True, scale=scale
        )

    monkeypatch.setattr(kernel, "kernel", top_left)
    assert "not aligned" in kernel.misaligned(torch.device("cpu"))


def test_auto_takes_the_first_that_can(monkeypatch):
    """flash_attn where it is installed, torch's kernel elsewhere on CUDA, the reference for what neither takes."""
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    for kind in (FlashAttn, Varlen):
        monkeypatch.setattr(kind, "misaligned", lambda self, device: None)
    monkeypatch.setitem(sys.modules, "flash_attn", None)
    assert choose._pick("auto", GOOD).name == "varlen"
    assert choose._pick("auto", GOOD._replace(dtype=torch.float32)).name == "sdpa"
    has_flash_attn(monkeypatch)
    choose._pick.cache_clear()
    assert choose._pick("auto", GOOD).name == "flash_attn"
    assert choose._pick("auto", GOOD._replace(device=torch.device("cpu"))).name == "sdpa"


def test_the_choice_and_its_reason_are_said_once(model, pack, cases, caplog):
    with caplog.at_level(logging.INFO, logger="basereward.attention.choose"), torch.no_grad():
        model(pack(cases[:1]))
        model(pack(cases[:1]))
    (record,) = caplog.records
    assert "float32 on cpu: sdpa" in record.message and "varlen needs a CUDA device" in record.message


def test_what_cannot_be_used_here_is_refused_with_the_reason(model, pack, cases):
    with pytest.raises(MissingDependency, match=r"compute\.attention: varlen needs a CUDA device; use compute\.attention=auto"):
        choose.check_here("varlen", torch.device("cpu"))
    for choice in ("auto", "sdpa"):
        choose.check_here(choice, torch.device("cpu"))
    use_tree_attention(model.model, "flash_attn")
    with pytest.raises(ConfigError, match=r"compute\.attention: flash_attn needs a CUDA device"):
        model(pack(cases[:1]))


def test_a_copied_config_makes_a_model_with_stock_attention(model, request):
    """transformers would look for a kernel to download under a name with flash in it."""
    other = AutoModel.from_config(copy.deepcopy(model.model.config))
    family = request.node.callspec.params["tiny_folder"]
    tower = None if family in TEXT_ONLY else getattr(other, "visual", None) or other.vision_tower
    assert tower is None or tower.config._attn_implementation == "sdpa"
    assert "basereward_flash" not in model.config.to_json_string()
