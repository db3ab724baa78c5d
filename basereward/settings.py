"""The typed config of each stage: what a key means, its unit, and which values it takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar


@dataclass
class BackboneSettings:
    """Where the backbone comes from and how it sees pictures."""

    path: str
    """Folder of a checkpoint or Hub id."""
    revision: str | None = None
    """Commit of the Hub repository."""
    create: str | None = None
    """Dotted name of a function ``(folder, seed)`` that writes the folder when it does not exist (tiny models)."""
    min_pixels: int | None = None
    """Smallest height x width of a resized picture; the checkpoint's own when null."""
    max_pixels: int | None = None
    """Largest height x width of a resized picture; the checkpoint's own when null."""
    gradient_checkpointing: bool | int = False
    """Recompute activations in the backward pass: less memory, about a third more compute. A number: in that many layers of the
    language model alone, and in the same share of the vision tower's."""
    shape: dict[str, Any] | None = None
    """Sizes from the published config, for the plan on a machine that does not have it; no model is built from them."""


@dataclass
class PartRates:
    """Peak learning rates by part; ``optim.lr`` where null. A rate for a part that is not trained is refused."""

    head: float | None = None
    merger: float | None = None
    vision: float | None = None
    language_model: float | None = None


@dataclass
class LoraSettings:
    """Adapters beside frozen linear layers; see ``basereward/adapters.py``."""

    modules: list[str]
    """Parts (language_model, vision, merger) or globs over names of linear layers; each must match some."""
    rank: int = 64
    alpha: int = 128
    """The adapters' product counts alpha / rank."""
    dropout: float = 0.0
    """Of the adapters' inputs while training."""
    lr: float | None = None
    """Peak learning rate of the adapters; ``optim.lr`` when null. A rate in ``parts.lr`` goes before it."""


@dataclass
class PartsSettings:
    """What is trained. The head always is, in full and in float32."""

    train: list[str] = field(default_factory=lambda: ["*"])
    """Parts (language_model, vision, merger) or globs over parameter names (``model.visual.blocks.31.*``); each must match some."""
    lr: PartRates = field(default_factory=PartRates)
    lora: LoraSettings | None = None
    frozen_dtype: str | None = None
    """float32 or bfloat16, of what is not trained; null: that of the compute, which published bfloat16 weights lose nothing by."""
    quantize: str | None = None
    """nf4: the language model in 4 bits under its adapters (QLoRA; CUDA and bitsandbytes); vision and head as they are."""


@dataclass
class OptimSettings:
    """The optimizer, its schedule, and in which precision the weights live."""

    algorithm: dict[str, Any] = field(default_factory=lambda: {"_target_": "basereward.optimizers.adamw.AdamW"})
    """Config node of the optimizer, with ``_target_``."""

    lr: float = 3e-6
    """Peak learning rate. The paper's choice from {1e-5, 3e-6, 1e-6, 3e-7}."""
    schedule: str = "cosine"
    """cosine, linear or constant_with_warmup."""
    warmup: float = 0.03
    """Share of the steps in which the rate rises from 0."""
    weight_decay: float = 0.0
    """Applied to weight matrices alone, not to norms and biases."""
    beta1: float = 0.9
    beta2: float = 0.999
    max_grad_norm: float = 1.0
    """Gradients are scaled down to this norm; 0 turns it off."""
    precision: str = "float32"
    """float32; bf16: compute in bfloat16 under autocast while trained weights and moments stay float32; bf16_weights: the weights
    are bfloat16 too, which takes an optimizer made for it (optim=adamw_stochastic, optim=adamw_kahan)."""
    average: float | None = None
    """Decay of an exponential moving average of the trained weights (0.999), which is then validated, saved and exported."""


@dataclass
class RewardSettings:
    """What is done to the head's output; part of the checkpoint."""

    length_norm: bool | None = None
    """Divide by log(l + 1), l the tokens of the response; null is the checkpoint's own with ``init_from``, else false."""


@dataclass
class BatchSettings:
    """What an optimizer step sees, and how it is cut to fit memory."""

    size: int = 128
    """Comparisons per optimizer step, on all devices together."""
    token_budget: int | str = 16384
    """Tokens of one forward pass; ``auto`` measures at the start what fits into memory. Changes memory and speed, never the result."""
    max_length: int | None = 8192
    """Longest prefix + response in tokens, image tokens included; null for no limit."""
    on_long: str = "drop"
    """drop (counted per source in the manifest) or error."""
    workers: int | None = None
    """Processes that decode pictures ahead of the device; 0 does it in the main process. Null for one less than there are cores, up to
    8, where there are pictures."""


@dataclass
class CacheSettings:
    """What a frozen model computes once and finds again, in later epochs and in other runs; see ``basereward/keeping.py``."""

    vision: bool = False
    """Keep the features of pictures; the vision tower must not be trained."""
    hidden: bool = False
    """Keep the pooled states of responses; nothing of the backbone must be trained (parts=head_only)."""
    dtype: str | None = None
    """float32, bfloat16 or int8, of features of pictures; null keeps them as they are computed, and loses nothing."""
    dir: str | None = None
    """Folder; ``$BASEREWARD_CACHE``, else ``~/.cache/basereward``, when null. Several runs may use it at once."""
    max_gib: float | None = 100.0
    """Limit on all that is kept there; what was not used for longest goes first. null for none."""


@dataclass
class ComputeSettings:
    """How the same numbers are computed: speed and memory, never the result."""

    attention: str = "auto"
    """auto, sdpa, varlen or flash_attn; auto takes the fastest that can be used, and the log says which and why."""
    liger: bool | str = "auto"
    """Liger's fused norms, activations and rotary positions (CUDA): true, false, or auto, which uses them where they are installed."""
    compile: bool = False
    """torch.compile of the decoder layers."""


@dataclass
class RunSettings:
    """The run directory, its length, and how often it looks up."""

    dir: str
    seed: int = 0
    resume: bool = False
    """Continue from the newest complete checkpoint in ``dir``; a directory without one starts anew."""
    epochs: float = 1.0
    max_steps: int | None = None
    """Optimizer steps; replaces ``epochs`` when set."""
    pause_at: int | None = None
    """End after this step's checkpoint, a multiple of ``eval_every``; ``resume`` goes on. The schedule is that of the whole run."""
    log_every: int = 10
    """Steps."""
    eval_every: int = 500
    """Steps between validations, each of which writes a checkpoint."""
    keep: int = 1
    """Newest checkpoints to keep beside the best one."""
    final: str = "best"
    """Which weights become ``final/``: best (by validation accuracy) or last."""
    device: str = "auto"
    tensorboard: bool = True


@dataclass
class TrainSettings:
    """Everything ``basereward train`` reads."""

    backbone: BackboneSettings
    head: dict[str, Any]
    """Config node of the head, with ``_target_``; ``init: new`` makes it new beside ``init_from`` too, with its pooling."""
    pooling: dict[str, Any]
    """Config node of the pooling, with ``_target_``: which tokens of a response the head sees."""
    loss: dict[str, Any]
    """Config node of the loss, with ``_target_`` and ``unit`` (comparison or pair: what weighs 1)."""
    data: dict[str, Any]
    """Config node of the data; see ``basereward/data_settings.py``."""
    run: RunSettings
    reward: RewardSettings = field(default_factory=RewardSettings)
    parts: PartsSettings = field(default_factory=PartsSettings)
    optim: OptimSettings = field(default_factory=OptimSettings)
    batch: BatchSettings = field(default_factory=BatchSettings)
    cache: CacheSettings = field(default_factory=CacheSettings)
    compute: ComputeSettings = field(default_factory=ComputeSettings)
    init_from: str | None = None
    """A run, a reward-model folder (another toolkit's too) or a Hub id to start from instead of a new head on the backbone."""
    typed: ClassVar[frozenset[str]] = frozenset()
    """Keys that stood on the command line, set by ``compose``: what was typed is never replaced in silence. No key of the config."""

    @property
    def new_head(self) -> dict[str, Any]:
        """``head`` without ``init``, which says when to build it: what a checkpoint keeps."""
        return {key: value for key, value in self.head.items() if key != "init"}

    @property
    def keeps_head(self) -> bool:
        """Whether head, pooling and length normalisation are those of ``init_from``."""
        return self.init_from is not None and self.head.get("init") != "new"


@dataclass
class EvaluateSettings:
    """Everything ``basereward evaluate`` reads."""

    model: str
    benchmark: dict[str, Any]
    """Config node of the benchmark, or of a group of them, with ``_target_``."""
    blind: bool = False
    """Also score with all images removed."""
    shuffled: bool = False
    """Also score with the images of another item."""
    seed: int = 0
    images: str = "read"
    """read: an image that is not there is a failure of its item; generate: a drawn one stands in its place, counted in the result."""
    missing: str = "fail"
    """Benchmarks of a group whose rows are not at hand: fail before anything is scored, or skip and list them."""
    out: str | None = None
    """Folder of the results; ``<run>/eval/<benchmark>`` when null. Of a group, the folder that holds one for each."""
    overwrite: bool = False
    against: str | None = None
    """Results to compare with, item by item: their folder, or a run that was judged on the same version of the benchmark."""
    dtype: str = "float32"
    device: str = "auto"
    token_budget: int = 8192


@dataclass
class DiagnoseSettings(EvaluateSettings):
    """Everything ``basereward diagnose`` reads: what ``basereward evaluate`` does, and what is asked beside it."""

    against: str | None = None
    """A run, or a folder of results, of another model on the same items."""
    diagnostics: dict[str, Any] = field(default_factory=dict)
    """Name -> config node of a diagnostic, with ``_target_``; null leaves one out."""


@dataclass
class ExportSettings:
    """Everything ``basereward export`` reads."""

    model: str
    """A run, a checkpoint folder, or a Hub id."""
    out: str
    """Folder to write."""
    dtype: str = "float32"
    """float32 or bfloat16, of the backbone's weights; the head is always float32."""
    device: str = "auto"
    """Where the probe is scored: auto, cpu, cuda."""
    overwrite: bool = False
    """Replace what is in ``out``."""


@dataclass
class ScoreSettings:
    """Everything ``basereward score`` reads."""

    model: str
    """A run, a checkpoint folder, an exported folder, or a Hub id."""
    output: str
    """File to write: one JSON line for each row, in the order of the input; of `data`, training rows and then validation rows."""
    input: str | None = None
    """A file of comparisons: .jsonl, .json, .parquet, .arrow; rows without preferences are scored too."""
    data: dict[str, Any] | None = None
    """Instead of ``input``: the config node of the data, as of ``basereward train``; every comparison under the id it has there."""
    run: dict[str, Any] = field(default_factory=lambda: {"seed": 0})
    """With ``data``: ``seed`` of the training run, which draws the demo's rows."""
    blind: bool = False
    """Score with all images removed."""
    image_root: str | None = None
    """Folder that relative image paths start from; the folder of the input file when null."""
    dtype: str = "float32"
    """float32, bfloat16 or float16, of the backbone; the head is always float32."""
    device: str = "auto"
    token_budget: int = 8192
    """Tokens of one forward pass; changes memory and speed, never a reward."""
    max_length: int | None = None
    """Longest prefix + response in tokens; a longer one counts as failed. The limit of the model's own positions when null."""
    overwrite: bool = False
    """Start anew where there is an output, or an interrupted one of another command."""
