"""The three formats of LLaMA-Factory in one file; the typed one holds its text under `value`."""


def typed(role, text):
    return {"role": role, "content": [{"type": "text", "value": text}], "loss_weight": 0.0}


ROWS = [
    {
        "conversations": [{"from": "system", "value": "Be brief."}, {"from": "human", "value": "<image>What is it?"}],
        "chosen": {"from": "gpt", "value": "A car."},
        "rejected": {"from": "gpt", "value": "A bus."},
        "images": ["car.png"],
    },
    {"instruction": "Translate.", "input": "Good morning", "chosen": "Bonjour", "rejected": "Bonsoir"},
    {
        "chosen_messages": [typed("user", "Snow?"), typed("assistant", "White.")],
        "rejected_messages": [typed("user", "Snow?"), typed("assistant", "Black.")],
    },
    {
        "conversations": [{"from": "human", "value": "<image>What is it?"}],
        "chosen": {"from": "gpt", "value": "A car."},
        "rejected": {"from": "gpt", "value": "A bus."},
        "images": ["gone.png"],
    },
]
PICTURES = ["car.png"]
EXPECTED = {"used": 3, "dropped": {"image missing": 1}}


def check(comparisons):
    """Every format gives the better answer first."""
    assert [item.responses for item in comparisons] == [("A car.", "A bus."), ("Bonjour", "Bonsoir"), ("White.", "Black.")]
