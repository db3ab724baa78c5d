"""R1-Reward-200K as it is rebuilt: one folder per set, each as in its own file of rows; here all rows of the sampled ones."""

from recipe_rows import mm_rlhf, povid, rlaif_v, vlfeedback, wildvision

SETS = {"mm_rlhf": mm_rlhf, "vlfeedback": vlfeedback, "povid": povid, "wildvision": wildvision}
ROWS = rlaif_v.ROWS
ROWS_FILE = f"rlaif_v/{rlaif_v.ROWS_FILE}"
FILES = {f"{name}/{module.ROWS_FILE}": module.ROWS for name, module in SETS.items()}
FILES |= {f"mm_rlhf/{name}": content for name, content in mm_rlhf.FILES.items()} | povid.FILES
PATH = "."
PARTS = {"mm_rlhf": {"num_frames": 0}, "rlaif_v": {}, "vlfeedback": None, "povid": {"image_root": "coco"}, "wildvision": {}}
OPTIONS = {"parts": PARTS, "share": 1.0}
# MM-RLHF's rows with a video are left out; a missing picture is found after a part has made its comparison.
DROPPED = {f"{name}: {why}": n for name in SETS for why, n in SETS[name].EXPECTED["dropped"].items() if why != "image missing"}
DROPPED |= {f"rlaif_v: {why}": n for why, n in rlaif_v.EXPECTED["dropped"].items()}
DROPPED |= {"mm_rlhf: video left out": 2, "image missing": 2}
EXPECTED = {"used": sum(module.EXPECTED["used"] for module in (*SETS.values(), rlaif_v)) - 1, "dropped": DROPPED}


def check(comparisons):
    """One part after another, all under the name of the whole."""
    assert [item.id for item in comparisons[:3]] == ["1", "7", "rlaif-v-7"] and comparisons[-1].id == "q6"
