"""Every claim about speed, measured side by side in one run: the cases of bench/cases.yaml.

    python -m bench                                   (all that this device can; about an hour and 10 GB of memory on 2 CPU cores)
    python -m bench --case pairs_256x8 --rounds 5

Each side of a case runs the same weights on the same rows in one process, in turn; bf16 on a GPU, float32 on a CPU.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Iterator

import torch

from bench import profile
from bench.setting import Setting, read_spec, settings_of, where
from bench.table import Row, header, skipped


def main() -> None:
    """Measures the cases asked for and prints one Markdown table; below it, where the time goes in cases that fall short."""
    args = arguments()
    print(where(args), header(), sep="\n\n", flush=True)
    met, profiles = [], {}
    for setting in settings_of(args):
        for name in args.case:
            for row in rows_of(setting, name):
                print(row.line(setting.shape_name), flush=True)
                met += [row.is_met] if row.value is not None else []
                key = setting.shape_name, name
                if row.ours and key not in profiles and (args.profile or not row.is_met):
                    profiles[key] = profile.lines(row.ours, setting.device)
    print(f"\n{met.count(True)} of {len(met)} rows meet what they must, {met.count(False)} do not")
    for key, lines in profiles.items():
        print(f"\n{' '.join(key)}, where the time of our side goes:\n\n{lines}")


def rows_of(setting: Setting, name: str) -> Iterator[Row]:
    """The rows of a case."""
    case = setting.spec["cases"][name]
    needed = case.get("devices", list(setting.spec["devices"]))
    if setting.device.type not in needed:
        return iter([skipped(name, f"it needs a {' or '.join(needed)} device")])
    return importlib.import_module(f"bench.kinds.{case['kind']}").measure(setting, name, case)


def arguments() -> argparse.Namespace:
    """Which cases, how often, where."""
    spec = read_spec()
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--case", nargs="+", choices=spec["cases"], default=list(spec["cases"]))
    parser.add_argument("--shape", nargs="+", choices=spec["shapes"], help="other shapes than those of the device")
    parser.add_argument("--rounds", type=int, default=spec["rounds"], help="how often each side is measured")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument(
        "--cpu-time", action="store_true", help="CPU seconds, for a machine that others use too (OMP_NUM_THREADS=1)"
    )
    parser.add_argument("--profile", action="store_true", help="show where the time goes also where nothing falls short")
    return parser.parse_args()


if __name__ == "__main__":
    main()
