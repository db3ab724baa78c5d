"""The overrides of a small run on the demo's rows."""

SMALL = (
    "experiment=demo", "data.sources.demo.n=96", "data.val.n=24", "batch.size=8", "run.max_steps=12", "run.eval_every=4",
    "run.log_every=4", "run.tensorboard=false",
)  # fmt: skip
