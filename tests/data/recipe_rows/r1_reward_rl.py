"""`yifanzhang114/R1-Reward-RL`: a judge's chat as JSON in `message`, the verdict in `answer`, the picture as base64."""

import base64
import json

from recipe_pictures import picture

# The headings are those of the authors' prompt; the sentences around them are not needed to read it.
ASKED = (
    "You compare two responses. Output 1 if Response 1 is better.\n\n###### **Input:**  \n###### [Question]:\n{}  \n\n"
    "###### [Response 1]:\n{}  \n\n###### [Response 2]:\n{}  \n\n"
)
TAIL = "###### **Output Format (strictly follow):**  \n<think>Your analysis</think><answer>1/2</answer>"
PICTURE = base64.b64encode(picture()).decode()


def message(question, first, second, tail=TAIL):
    """A chat whose last user turn asks the judge; its picture is a path on the authors' machine."""
    content = [{"type": "text", "text": ASKED.format(question, first, second) + tail}]
    content.append({"type": "image", "image": "/cluster/data/RLAIF-V-image/cake.jpg"})
    return json.dumps([{"role": "system", "content": "Judge."}, {"role": "user", "content": content}])


ROW = {"question": "What is it?", "message": message("What is it?", "A cake.", "A hat."), "answer": ["<answer>1</answer>"]}
ROW["image"] = PICTURE
ROWS = [
    ROW,
    ROW | {"answer": ["<answer> 2 </answer>"], "image": f"data:image/png;base64,{PICTURE}"},
    ROW | {"message": message("What?", "One.\n\nTwo.", "Three.", "")},
    ROW | {"message": json.dumps([{"role": "user", "content": ASKED.format("<image>\nWho?", "He.", "She.") + TAIL}])},
    ROW | {"message": "[not JSON"},
    ROW | {"answer": ["<answer>1</answer>", "<answer>2</answer>"]},
    ROW | {"image": ""},
    ROW | {"message": message("What?", "Same.", "Same.")},
]
ROWS_FILE = "data/train-00000-of-00001.parquet"
PATH = "."
EXPECTED = {
    "used": 4,
    "dropped": {
        "the judge's prompt cannot be read": 1,
        "no single verdict": 1,
        "image missing": 1,
        "chosen equals rejected": 1,
    },
}


def check(comparisons):
    """The verdict names the better answer, and the picture is decoded."""
    answers = [("A cake.", "A hat."), ("A hat.", "A cake."), ("One.\n\nTwo.", "Three."), ("He.", "She.")]
    assert [item.responses for item in comparisons] == answers
    assert all(item.images == (picture(),) for item in comparisons)
    assert [item.messages[0]["content"][1]["text"] for item in comparisons] == ["What is it?", "What is it?", "What?", "Who?"]
